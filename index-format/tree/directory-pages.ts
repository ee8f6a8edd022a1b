/**
 * Reads a directory's listing page by page out of SQLite. It remembers with which name a page ended,
 * so that the next begins with a search for that name instead of counting entries from the start.
 * Forgetting only costs time.
 */
import type { Statement } from 'better-sqlite3'
import type { DirEntry } from './tree.js'

export interface DirectoryPagesOptions<Row, Entry extends DirEntry> {
  /** Entries of a directory by name: parent, how many, how many to pass over. */
  readonly from: Statement<[number, number, number], Row>
  /** Entries with names behind this one: parent, name, how many. */
  readonly after: Statement<[number, Uint8Array, number], Row>
  readonly entryFromRow: (row: Row, cookie: number) => Entry
}

const REMEMBERED = 1024

export class DirectoryPages<Row, Entry extends DirEntry> {
  readonly #options: DirectoryPagesOptions<Row, Entry>
  /** The last name of a page, by parent and cookie. */
  readonly #ends = new Map<string, Uint8Array>()

  constructor(options: DirectoryPagesOptions<Row, Entry>) {
    this.#options = options
  }

  /** See `Tree.readdir`: an entry's cookie is its place in the order of names, from 1. */
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
