/**
 * One page of a SQLite B-tree (sqlite.org/fileformat2.html, "B-tree Pages" and "Record Format"). It
 * reads only the forms that occur in index files. An offset outside the page throws `UnreadablePage`.
 */
import { UnreadablePage } from './unreadable-page.js'
import { PAGE_BYTES } from '../schema.js'

/** The first byte of a page says its type. */
const INNER_INDEX = 0x02
const INNER_TABLE = 0x05
const LEAF_INDEX = 0x0a
const LEAF_TABLE = 0x0d
const LEAF_HEADER_BYTES = 8
const INNER_HEADER_BYTES = 12
/** A page holds at most (4096 - 8) / (2 bytes of pointer + 4 bytes of cell) cells. */
const MAX_CELLS = 681

/** The kind of a B-tree: `table` has rows by number, `index` has records in their own order. */
export type TreeKind = 'table' | 'index'

export class TreePage {
  readonly bytes: Buffer
  readonly kind: TreeKind
  readonly isLeaf: boolean
  readonly cells: number
  /** Where the next `varint` is read. */
  at = 0
  /** True once `bytes` may hold another page: see `PageCache.recycle`. */
  isGone = false
  readonly #pointersAt: number

  constructor(bytes: Buffer, kind: TreeKind) {
    const [first] = bytes
    this.bytes = bytes
    this.kind = kind
    this.isLeaf = first === (kind === 'table' ? LEAF_TABLE : LEAF_INDEX)
    if (!this.isLeaf && first !== (kind === 'table' ? INNER_TABLE : INNER_INDEX))
      throw new UnreadablePage()
    this.cells = this.#uint16(3)
    if (this.cells > MAX_CELLS) throw new UnreadablePage()
    this.#pointersAt = this.isLeaf ? LEAF_HEADER_BYTES : INNER_HEADER_BYTES
  }

  /** Sets `at` to the content of a cell. In an inner page that follows the left child's number. */
  seek(cell: number): void {
    const at = this.#uint16(this.#pointersAt + 2 * cell)
    this.at = this.isLeaf ? at : at + 4
  }

  /** The number of the child left of a cell; for `cells`, of the child right of the last cell. */
  child(cell: number): number {
    if (cell === this.cells) return this.bytes.readUInt32BE(8)
    const at = this.#uint16(this.#pointersAt + 2 * cell)
    if (at > PAGE_BYTES - 4) throw new UnreadablePage()
    return this.bytes.readUInt32BE(at)
  }

  /** Reads a variable-length integer at `at`. Throws `UnreadablePage` beyond seven bytes, that is 2^49. */
  varint(): number {
    const { bytes } = this
    const first = bytes[this.at++]
    if (first === undefined) throw new UnreadablePage()
    if (first < 0x80) return first
    let value = first & 0x7f
    for (let length = 1; length < 7; length++) {
      const byte = bytes[this.at++]
      if (byte === undefined) throw new UnreadablePage()
      if (byte < 0x80) return value * 128 + byte
      value = value * 128 + (byte & 0x7f)
    }
    throw new UnreadablePage()
  }

  /** The integer of this serial type at `at`; `null` for NULL. Throws `UnreadablePage` for other types. */
  integer(serialType: number, at: number): number | null {
    const { bytes } = this
    if (serialType === 0) return null
    if (serialType === 8) return 0
    if (serialType === 9) return 1
    const length = integerBytes(serialType)
    if (length === 0 || at + length > PAGE_BYTES) throw new UnreadablePage()
    // Decoded by hand: this runs about twenty times for one name, and Buffer's methods would repeat
    // the checks.
    let value = ((bytes[at] ?? 0) << 24) >> 24
    for (let i = 1; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0)
    return value
  }

  #uint16(at: number): number {
    return ((this.bytes[at] ?? 0) << 8) | (this.bytes[at + 1] ?? 0)
  }
}

/** Bytes of an integer of a serial type; 0 for types that take no bytes or are not integers. */
export function integerBytes(serialType: number): number {
  if (serialType <= 4) return serialType
  if (serialType === 5) return 6
  return serialType === 6 ? 8 : 0
}
