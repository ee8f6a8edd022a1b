/** Where the filesystem finds trees by slot; a registry, or one index that is the whole mount. */
import type { TreeIndex } from './tree-index.js'
import type { TreeRecord } from './tree-registry.js'

/** A tree that can be read now. Valid until the next call to its source. */
export interface OpenTree {
  readonly record: TreeRecord
  readonly index: TreeIndex
}

export interface TreeSource {
  /**
   * Ends the life of all names and listings that an index of this source has given.
   * `undefined` when there is no such tree here. Throws `tree-unavailable` when its index cannot be opened.
   */
  open(slot: number): OpenTree | undefined
  /** At most `limit` trees with slots above `slot`, in order. */
  after(slot: number, limit: number): TreeRecord[]
  /** Idempotent. */
  close(): void
}
