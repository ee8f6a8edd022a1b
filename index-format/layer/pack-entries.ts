/**
 * Reads the names of a directory for packing, with one statement for each page instead of four for
 * each name. It reads digests as text, and names not at all: each blob from SQLite becomes a buffer
 * with memory of its own, which costs more than finding the row.
 */
import type { Database } from 'better-sqlite3'
import { isDigest } from '../digest.js'
import type { PackEntry } from '../pack/pack-inputs.js'
import type { Extent } from '../tree/tree.js'

/**
 * [ino, mode, nlink, digest, then of the only extent: offset, length, position in the spool]. The
 * last three are null unless the file is one run.
 */
type Row = readonly [
  ...[number, number, number, string],
  ...[number | null, number | null, number | null],
]

const BATCH = 1024
const NO_NAME = new Uint8Array(0)

export class PackEntries {
  readonly #extents: (ino: number) => readonly Extent[]
  readonly #page
  readonly #nameAt

  /** `extents` is called for files of several runs or none. */
  constructor(database: Database, extents: (ino: number) => readonly Extent[]) {
    this.#extents = extents
    this.#page = database
      .prepare<[number, Uint8Array, number], Row>(
        `SELECT e.ino, i.mode, i.nlink, 'sha256:' || lower(hex(i.digest)), x.offset, x.length, x.raw
         FROM entry e JOIN inode i ON i.ino = e.ino
         LEFT JOIN extent x ON x.ino = e.ino AND x.length = i.stored
         WHERE e.parent = ? AND e.name > ? ORDER BY e.name LIMIT ?`,
      )
      .raw()
    this.#nameAt = database.prepare<[number, Uint8Array, number], { name: Buffer }>(
      'SELECT name FROM entry WHERE parent = ? AND name > ? ORDER BY name LIMIT 1 OFFSET ?',
    )
  }

  /** One element for each name of a directory, in byte order of name. */
  *of(parent: number): Generator<PackEntry, undefined> {
    for (let after: Uint8Array | undefined = NO_NAME; after !== undefined;) {
      const rows: Row[] = this.#page.all(parent, after, BATCH)
      for (const row of rows) yield this.#entry(row)
      const isLast = rows.length < BATCH
      after = isLast ? undefined : this.#nameAt.get(parent, after, BATCH - 1)?.name
    }
    return undefined
  }

  #entry([ino, mode, nlink, digest, offset, length, rawOffset]: Row): PackEntry {
    const oneRun = offset !== null && length !== null && rawOffset !== null
    const runs = oneRun ? [{ offset, length, pack: 0, rawOffset }] : this.#extents(ino)
    return { ino, mode, nlink, digest: isDigest(digest) ? digest : undefined, runs }
  }
}
