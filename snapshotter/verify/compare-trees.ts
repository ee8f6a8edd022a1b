/** The proof itself: two trees are equal when this yields nothing. */
import { setImmediate } from 'node:timers/promises'
import { ContentComparison } from './compare-content.js'
import { NameComparison } from './compare-names.js'
import { ContentPlan } from './content-plan.js'
import type { Difference } from './difference.js'
import { firstByteInHoles } from './file-bytes.js'
import type { ReadableTree, StreamedTree } from './readable-tree.js'

/** How far a comparison is. */
export interface CompareProgress {
  /** Names compared. */
  readonly names: number
  /** Bytes of regular files compared. */
  readonly contentBytes: number
  /** Bytes of regular files there are; 0 while names are still compared. */
  readonly contentTotalBytes: number
}

export interface CompareTreesOptions {
  readonly signal: AbortSignal
  /** Called often; must be cheap. */
  readonly onProgress?: (progress: CompareProgress) => void
  /** False: names and attributes only. Default true. */
  readonly content?: boolean
}

/**
 * Every difference between two trees: names, types, permissions, owners, link counts, sizes, device
 * numbers, modification times, link targets, extended attributes, which names are one file, and the
 * bytes of every regular file (a hole equals zeros). Below a name that only one tree has, nothing
 * more is reported. Memory: some 40 bytes for each file and extent. Throws what the trees throw.
 */
export async function* compareTrees(
  expected: ReadableTree,
  actual: StreamedTree,
  options: CompareTreesOptions,
): AsyncGenerator<Difference> {
  const { signal } = options
  const progress = { names: 0, contentBytes: 0, contentTotalBytes: 0 }
  const report = (): void => options.onProgress?.({ ...progress })
  const plan = new ContentPlan()
  const content = new ContentComparison(expected, actual, plan, {
    signal,
    onBytes: (bytes) => {
      progress.contentBytes += bytes
      report()
    },
  })
  const names = new NameComparison(expected.tree, actual.tree, {
    onName: () => {
      progress.names++
    },
    onFiles: (pair) => {
      if (options.content === false) return
      const extents = actual.tree.extents(pair.actualIno)
      const file = plan.addFile(pair, extents)
      const offset = firstByteInHoles(expected, expected.tree.extents(pair.expectedIno), extents)
      if (offset !== undefined) content.addDifference(file, offset)
    },
  })
  for (const difference of names.differences()) {
    if (difference !== undefined) yield difference
    report()
    signal.throwIfAborted()
    await setImmediate()
  }
  progress.contentTotalBytes = plan.sizeBytes
  report()
  yield* content.differences()
  signal.throwIfAborted()
}
