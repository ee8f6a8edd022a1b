/** Pack tables that were used last, decoded: an index keeps them as one row per frame. */
import { LRUCache } from 'lru-cache'
import type { PackTable } from '../../index-format/index.js'
import type { OpenTree } from './tree-source.js'

/** A full pack of small frames has a table of about 50 KiB. */
const MAX_PACK_TABLES = 256

export class PackTables {
  readonly #tables = new LRUCache<string, PackTable>({ max: MAX_PACK_TABLES })

  /** The pack that extents of `tree` call `pack`. Throws `invalid-index` when there is none. */
  get(tree: OpenTree, pack: number): PackTable {
    const key = `${tree.record.indexDigest} ${pack}`
    const known = this.#tables.get(key)
    if (known !== undefined) return known
    const table = tree.index.packTable(pack)
    this.#tables.set(key, table)
    return table
  }
}
