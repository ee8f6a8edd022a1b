/**
 * Reads a directory's listing page by page from SQLite. It remembers the last name of each page, so
 * that the next page begins with a search for that name instead of counting entries from the start.
 * A forgotten name only costs time.
 */
import type { Statement } from 'better-sqlite3'
import type { DirEntry } from './tree.js'

export interface DirectoryPagesOptions<Row, Entry extends DirEntry> {
  /** Selects entries of a directory in order of name. Parameters: parent, limit, offset. */
  readonly from: Statement<[number, number, number], Row>
  /** Selects entries whose names come after a given one. Parameters: parent, name, limit. */
  readonly after: Statement<[number, Uint8Array, number], Row>
  readonly entryFromRow: (row: Row, cookie: number) => Entry
}

const REMEMBERED = 1024

export class DirectoryPages<Row, Entry extends DirEntry> {
  readonly #options: DirectoryPagesOptions<Row, Entry>
  /** The last name of each page, by parent and by the cookie of that name. */
  readonly #ends = new Map<string, Uint8Array>()

  constructor(options: DirectoryPagesOptions<Row, Entry>) {
    this.#options = options
  }

  /** See `Tree.readdir`. An entry's cookie is its position in the order of names, from 1. */
  read(parent: number, cookie: number, limit: number): Entry[] {
    const { from, after, entryFromRow } = this.#options
    const end = this.#ends.get(keyOf(parent, cookie))
    const rows = end === undefined ? from.all(parent, limit, cookie) : after.all(parent, end, limit)
    const entries = rows.map((row, i) => entryFromRow(row, cookie + i + 1))
    const last = entries.at(-1)
    if (last !== undefined) this.#remember(parent, last)
    return entries
  }

  #remember(parent: number, last: DirEntry): void {
    if (this.#ends.size >= REMEMBERED) {
      const [oldest] = this.#ends.keys()
      if (oldest !== undefined) this.#ends.delete(oldest)
    }
    this.#ends.set(keyOf(parent, last.cookie), last.name)
  }
}

function keyOf(parent: number, cookie: number): string {
  return `${parent}:${cookie}`
}
