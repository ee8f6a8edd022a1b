/** Changes of labels, as in containerd's metadata store. A label with an empty value is removed. */
import { SnapshotterError } from '../../errors.js'
import type { Labels } from './snapshot.js'

const LABEL_PATH = 'labels.'

/** The labels to be stored: those whose value is not empty. */
export function labelsOf(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
}

/**
 * The labels after an update. The path `labels` replaces all labels by those of `change`; the path
 * `labels.<label>` replaces one. Without paths, all labels are replaced. Throws `invalid-argument`,
 * which names the path and the snapshot, for any other path.
 */
export function updatedLabels(
  change: { readonly key: string; readonly labels: Labels; readonly paths: readonly string[] },
  before: Labels,
): Labels {
  if (change.paths.length === 0) return labelsOf(change.labels)
  let after = new Map(Object.entries(before))
  for (const path of change.paths) {
    if (path === 'labels') {
      after = new Map(Object.entries(change.labels))
    } else if (path.startsWith(LABEL_PATH)) {
      const label = path.slice(LABEL_PATH.length)
      after.set(label, Object.hasOwn(change.labels, label) ? (change.labels[label] ?? '') : '')
    } else {
      throw new SnapshotterError(
        'invalid-argument',
        `cannot update "${path}" of snapshot "${change.key}": only labels can change`,
      )
    }
  }
  return labelsOf(Object.fromEntries(after))
}
