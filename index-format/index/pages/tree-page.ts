/**
 * One page of a B-tree of SQLite's (sqlite.org/fileformat2.html, "B-tree Pages" and "Record Format"),
 * as far as index files have them. Every offset is checked against the page: what does not fit
 * throws `UnreadablePage`.
 */
import { UnreadablePage } from './unreadable-page.js'
import { PAGE_BYTES } from '../schema.js'

/** The first byte of a page. */
const INNER_INDEX = 0x02
const INNER_TABLE = 0x05
const LEAF_INDEX = 0x0a
const LEAF_TABLE = 0x0d
const LEAF_HEADER_BYTES = 8
const INNER_HEADER_BYTES = 12
/** A page holds at most (4096 - 8) / (2 bytes of pointer + 4 of cell) of them. */
const MAX_CELLS = 681

/** What a page's cells are: rows of a table by number, or records in their own order. */
export type TreeKind = 'table' | 'index'

export class TreePage {
  readonly bytes: Buffer
  readonly kind: TreeKind
  readonly isLeaf: boolean
  readonly cells: number
  /** Where the next `varint` is read. */
  at = 0
  /** Set once other bytes may be in `bytes`. */
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

  /** Goes to the content of a cell, behind the number of the left child where there is one. */
  seek(cell: number): void {
    const at = this.#uint16(this.#pointersAt + 2 * cell)
    this.at = this.isLeaf ? at : at + 4
  }

  /** The page left of a cell; right of all cells for the number behind the last. */
  child(cell: number): number {
    if (cell === this.cells) return this.bytes.readUInt32BE(8)
    const at = this.#uint16(this.#pointersAt + 2 * cell)
    if (at > PAGE_BYTES - 4) throw new UnreadablePage()
    return this.bytes.readUInt32BE(at)
  }

  /** A variable-length integer of at most seven bytes, so below 2^49. */
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

  /** The number that a record's column of this serial type holds at `at`; `null` for NULL. */
  integer(serialType: number, at: number): number | null {
    const { bytes } = this
    if (serialType === 0) return null
    if (serialType === 8) return 0
    if (serialType === 9) return 1
    const length = integerBytes(serialType)
    if (length === 0 || at + length > PAGE_BYTES) throw new UnreadablePage()
    // By hand: this runs some twenty times for one name, and Buffer's methods check all over again.
    let value = ((bytes[at] ?? 0) << 24) >> 24
    for (let i = 1; i < length; i++) value = value * 256 + (bytes[at + i] ?? 0)
    return value
  }

  #uint16(at: number): number {
    return ((this.bytes[at] ?? 0) << 8) | (this.bytes[at + 1] ?? 0)
  }
}

/** Bytes of an integer of a serial type; 0 for types that are none, or need no bytes. */
export function integerBytes(serialType: number): number {
  if (serialType <= 4) return serialType
  if (serialType === 5) return 6
  return serialType === 6 ? 8 : 0
}
