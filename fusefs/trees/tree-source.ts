/** Finds trees by slot: in a registry, or in one index that is the whole mount. */
import type { TreeIndex } from './tree-index.js'
import type { TreeRecord } from './tree-registry.js'

/** A tree that can be read now. Valid until the next call to its source. */
export interface OpenTree {
  readonly record: TreeRecord
  readonly index: TreeIndex
}

export interface TreeSource {
  /**
   * The tree in this slot; `undefined` when this source has no such tree. Names and listings that
   * an index of this source returned before this call become invalid. Throws `tree-unavailable`
   * when the index cannot be opened, `incomplete-index` when it is partial and cannot be opened.
   */
  open(slot: number): OpenTree | undefined
  /** At most `limit` trees with slots above `slot`, in order of slot. */
  after(slot: number, limit: number): TreeRecord[]
  /** Closes everything that this source has opened or taken over. Idempotent. */
  close(): void
}
