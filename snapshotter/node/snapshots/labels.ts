/** Changes of labels, as in containerd's metadata store. A label with an empty value is removed. */
import { SnapshotterError } from '../../errors.js'
import type { Labels } from './snapshot.js'

const LABEL_PATH = 'labels.'

/** The labels to be stored: those whose value is not empty. */
export function labelsOf(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))
}

/** Reads the labels of snapshot `key` as the database holds them. Throws `internal` for anything else. */
export function labelsFromJson(key: string, text: string): Labels {
  const labels = Object.entries(parsedObject(key, text)).map(
    ([label, value]: [string, unknown]) => {
      if (typeof value !== 'string') throw notLabels(key, text)
      return [label, value] as const
    },
  )
  return Object.fromEntries(labels)
}

function parsedObject(key: string, text: string): object {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    throw notLabels(key, text, { cause })
  }
  if (typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)) return parsed
  throw notLabels(key, text)
}

function notLabels(key: string, text: string, options?: { cause: unknown }): SnapshotterError {
  const message = `snapshot "${key}": its labels are not text by name: ${text.slice(0, 200)}`
  return new SnapshotterError('internal', message, options)
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
