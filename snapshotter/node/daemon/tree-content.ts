/** Content of trees for the FUSE side: the local cache, filled from the stores that a tree names. */
import {
  type ContentReader,
  type ContentStore,
  FusefsError,
  type MirrorShared,
  type TreeRecord,
} from '../../../fusefs/index.js'
import type { PackTable } from '../../../index-format/index.js'
import type { StoreSources } from '../../stores/store-sources.js'

export class TreeContent implements ContentReader {
  readonly #store: ContentStore
  readonly #sources: StoreSources

  /** Both stay the caller's. */
  constructor(modules: { store: ContentStore; sources: StoreSources }) {
    this.#store = modules.store
    this.#sources = modules.sources
  }

  shared(pack: PackTable): MirrorShared | undefined {
    try {
      return this.#store.mirror(pack)
    } catch (error) {
      // Without a mirror every read of this pack comes to us, which the store has logged.
      if (error instanceof FusefsError && error.code === 'cache-io') return undefined
      throw error
    }
  }

  async read(
    tree: TreeRecord,
    pack: PackTable,
    rawOffset: number,
    target: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const source = this.#sources.for(tree.stores)
    await this.#store.read({ pack, rawOffset, target, source }, signal)
  }
}
