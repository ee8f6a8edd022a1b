/** Proves that two trees are equal: they are if `compareTrees` yields nothing. */
import { setImmediate } from 'node:timers/promises'
import { ContentComparison } from './compare-content.js'
import { type InodePair, NameComparison } from './compare-names.js'
import { ContentPlan } from './content-plan.js'
import type { Difference } from './difference.js'
import { firstByteInHoles } from './file-bytes.js'
import type { TreePair } from './readable-tree.js'

/** The progress of a comparison. */
export interface CompareProgress {
  /** Names compared. */
  readonly names: number
  /** Bytes of regular files compared. */
  readonly contentBytes: number
  /** Bytes of regular files to compare; 0 while names are compared. */
  readonly contentTotalBytes: number
}

export interface CompareTreesOptions {
  readonly signal: AbortSignal
  /** Called often; must be cheap. */
  readonly onProgress?: (progress: CompareProgress) => void
}

/**
 * Yields every difference between two trees: names, types, permissions, owners, link counts, sizes,
 * device numbers, modification times, link targets, extended attributes, hard links, and the bytes
 * of every regular file (a hole equals zeros). Nothing is reported below a directory that only one
 * tree has. If several pairs are given, content that they share is read once. Memory: some 60 bytes
 * for each file and extent. Throws the errors of the trees.
 */
export async function* compareTrees(
  pairs: readonly TreePair[],
  options: CompareTreesOptions,
): AsyncGenerator<Difference> {
  const { signal } = options
  const progress = { names: 0, contentBytes: 0, contentTotalBytes: 0 }
  const report = (): void => options.onProgress?.({ ...progress })
  const plan = new ContentPlan()
  const content = new ContentComparison(plan, {
    signal,
    onBytes: (bytes) => {
      progress.contentBytes += bytes
      report()
    },
  })
  for (const pair of pairs) {
    const onName = (): void => {
      progress.names++
    }
    const hooks = { onName, onFiles: fileHook(pair, plan, content) }
    plan.addTrees(pair)
    for (const difference of new NameComparison(pair, hooks).differences()) {
      if (difference !== undefined) yield { ...difference, tree: pair.name }
      report()
      signal.throwIfAborted()
      await setImmediate()
    }
  }
  progress.contentTotalBytes = plan.sizeBytes
  report()
  yield* content.differences()
  signal.throwIfAborted()
}

/** Plans the comparison of two files' bytes. Bytes that lie in holes are compared at once. */
function fileHook(
  { expected, actual }: TreePair,
  plan: ContentPlan,
  content: ContentComparison,
): (pair: InodePair) => void {
  return (pair) => {
    const extents = actual.tree.extents(pair.actualIno)
    const file = plan.addFile(pair, extents)
    const offset = firstByteInHoles(
      expected.content(pair.expectedIno),
      expected.tree.extents(pair.expectedIno),
      extents,
    )
    if (offset !== undefined) content.addDifference(file, offset)
  }
}
