/** The seam to the content tiers, as a server sees them: content of a tree, by pack and offset. */
import type { PackTable } from '../../index-format/index.js'
import type { MirrorShared } from '../content/mirror-view.js'
import type { TreeRecord } from '../trees/tree-registry.js'

export interface ContentReader {
  /** The pack's mirror, for threads that read on their own; `undefined` when it has none (any more). */
  shared(pack: PackTable): MirrorShared | undefined
  /**
   * Fills `target` with verified bytes of the pack's uncompressed address space, from the cache or
   * from the tree's stores. Throws a `FusefsError`; aborting `signal` gives `aborted`.
   */
  read(
    tree: TreeRecord,
    pack: PackTable,
    rawOffset: number,
    target: Uint8Array,
    signal: AbortSignal,
  ): Promise<void>
}
