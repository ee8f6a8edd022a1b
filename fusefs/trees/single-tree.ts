/** A source with one tree. The tree has slot 0, so its root is the root of the mount. */
import type { Digest } from '../../index-format/index.js'
import type { TreeIndex } from './tree-index.js'
import type { TreeClass, TreeRecord } from './tree-registry.js'
import type { OpenTree, TreeSource } from './tree-source.js'

export interface SingleTreeOptions {
  readonly indexDigest: Digest
  readonly class: TreeClass
  readonly stores: readonly string[]
}

export class SingleTree implements TreeSource {
  readonly #tree: OpenTree

  /** Takes over `index`: `close` closes it. */
  constructor(options: SingleTreeOptions, index: TreeIndex) {
    const { indexDigest, class: treeClass, stores } = options
    const record: TreeRecord = { slot: 0, name: '', indexDigest, class: treeClass, stores }
    this.#tree = { record, index }
  }

  open(slot: number): OpenTree | undefined {
    return slot === 0 ? this.#tree : undefined
  }

  after(): TreeRecord[] {
    return []
  }

  close(): void {
    this.#tree.index.close()
  }
}
