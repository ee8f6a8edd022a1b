/** Cache of decoded pack tables. An index stores a table as one row per frame. */
import { LRUCache } from 'lru-cache'
import type { PackTable } from '../../index-format/index.js'
import type { OpenTree } from './tree-source.js'

/** Tables kept. The table of a full pack of small frames takes about 50 KiB. */
const MAX_PACK_TABLES = 256

export class PackTables {
  readonly #tables = new LRUCache<string, PackTable>({ max: MAX_PACK_TABLES })

  /**
   * The table of the pack with key `pack` in the index of `tree`. Throws `invalid-index` when the
   * index has no such pack.
   */
  get(tree: OpenTree, pack: number): PackTable {
    const key = `${tree.record.indexDigest} ${pack}`
    const known = this.#tables.get(key)
    if (known !== undefined) return known
    const table = tree.index.packTable(pack)
    this.#tables.set(key, table)
    return table
  }
}
