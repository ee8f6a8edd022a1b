/** Content of trees for the FUSE servers: the local cache, filled from the stores of each tree. */
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

  /** The caller keeps and closes both modules. */
  constructor(modules: { store: ContentStore; sources: StoreSources }) {
    this.#store = modules.store
    this.#sources = modules.sources
  }

  shared(pack: PackTable): MirrorShared | undefined {
    try {
      return this.#store.mirror(pack)
    } catch (error) {
      // The store has logged this. Without a mirror, dispatchers send every read of the pack to us.
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
