/** The interface through which a server reads content: bytes of a tree's packs, by offset. */
import type { PackTable } from '../../index-format/index.js'
import type { MirrorShared } from '../content/mirror-view.js'
import type { TreeRecord } from '../trees/tree-registry.js'

export interface ContentReader {
  /**
   * The pack's mirror, which dispatcher threads can read by themselves; `undefined` when the pack
   * has no mirror, or no longer has one.
   */
  shared(pack: PackTable): MirrorShared | undefined
  /**
   * Fills `target` with verified bytes of the pack's uncompressed address space, from `rawOffset`
   * on. They come from the cache or from the tree's stores. Throws a `FusefsError`; its code is
   * `aborted` when `signal` was aborted.
   */
  read(
    tree: TreeRecord,
    pack: PackTable,
    rawOffset: number,
    target: Uint8Array,
    signal: AbortSignal,
  ): Promise<void>
}
