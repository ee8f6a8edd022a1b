/**
 * Records what this publisher has stored and where, so that known content is not compressed or sent
 * twice. A row is written after a store has confirmed the blob. A claim about a store is checked
 * before it is relied on. So losing or restoring the file costs time, never correctness.
 */
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import {
  type Digest,
  type Frame,
  type PackTable,
  bytesFromDigest,
  digestFromBytes,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'

/** "THPB" in `application_id`. A file that is something else is refused, not overwritten. */
const APPLICATION_ID = 0x54485042
const VERSION = 2
const BUSY_TIMEOUT_MS = 30_000

/** What version 2 added: the diff ID of each layer blob that this publisher has read and hashed. */
const LAYER_BLOB_SCHEMA = `
  CREATE TABLE layer_blob (digest BLOB PRIMARY KEY, diff_id BLOB NOT NULL) STRICT, WITHOUT ROWID;
`

const SCHEMA = `
  CREATE TABLE blob (digest BLOB NOT NULL, store TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (digest, store)) STRICT, WITHOUT ROWID;
  CREATE TABLE known_index (key BLOB PRIMARY KEY, digest BLOB NOT NULL, size INTEGER NOT NULL,
    blob_digest BLOB NOT NULL, blob_size INTEGER NOT NULL, xattrs INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
  CREATE TABLE pack (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, size INTEGER NOT NULL,
    raw_size INTEGER NOT NULL) STRICT;
  CREATE TABLE frame (pack INTEGER NOT NULL REFERENCES pack(id) ON DELETE CASCADE,
    raw_offset INTEGER NOT NULL, raw_size INTEGER NOT NULL, offset INTEGER NOT NULL,
    size INTEGER NOT NULL, digest BLOB NOT NULL,
    PRIMARY KEY (pack, raw_offset)) STRICT, WITHOUT ROWID;
  CREATE INDEX frame_by_digest ON frame (digest);
  CREATE TABLE content (id INTEGER PRIMARY KEY, digest BLOB NOT NULL) STRICT;
  CREATE INDEX content_by_digest ON content (digest);
  CREATE TABLE piece (content INTEGER NOT NULL REFERENCES content(id) ON DELETE CASCADE,
    position INTEGER NOT NULL, pack INTEGER NOT NULL REFERENCES pack(id), raw_offset INTEGER NOT NULL,
    length INTEGER NOT NULL, PRIMARY KEY (content, position)) STRICT, WITHOUT ROWID;
  CREATE INDEX piece_by_pack ON piece (pack);
  ${LAYER_BLOB_SCHEMA}
`

/** An index that was stored before, and its compressed blob. */
export interface KnownIndex {
  /** Digest of the SQLite file. */
  readonly digest: Digest
  readonly sizeBytes: number
  readonly blob: { readonly digest: Digest; readonly sizeBytes: number }
  readonly xattrs: boolean
}

/** A run of bytes in a pack. */
export interface StoredPiece {
  readonly pack: Digest
  readonly rawOffset: number
  readonly length: number
}

/** Copies of one content that are looked at, newest first. They may be in several stores. */
const MAX_COPIES = 8

export class PublishDatabase {
  readonly path: string
  readonly #db: Database.Database
  readonly #statements: ReturnType<typeof prepared>

  private constructor(path: string, db: Database.Database) {
    this.path = path
    this.#db = db
    this.#statements = prepared(db)
  }

  /**
   * Opens or creates the file and the folders above it. `:memory:` keeps nothing after `close`.
   * Throws `failed-precondition` if the file is not a publisher's database of this version,
   * `internal` if it cannot be opened. The caller closes it.
   */
  static open(path: string): PublishDatabase {
    try {
      if (path !== ':memory:') mkdirSync(dirname(path), { recursive: true })
      const db = new Database(path, { timeout: BUSY_TIMEOUT_MS })
      db.pragma('journal_mode = WAL')
      db.pragma('synchronous = NORMAL')
      db.pragma('foreign_keys = ON')
      db.transaction(() => {
        prepare(db, path)
      }).immediate()
      return new PublishDatabase(path, db)
    } catch (cause) {
      if (cause instanceof SnapshotterError) throw cause
      throw new SnapshotterError('internal', `open the publisher's database ${path}`, { cause })
    }
  }

  /** The index that was recorded under `key` (see `index-key.ts`), else undefined. */
  index(key: Digest): KnownIndex | undefined {
    const row = this.#db
      .prepare<unknown[], IndexRow>('SELECT * FROM known_index WHERE key = ?')
      .get(bytesFromDigest(key))
    if (row === undefined) return undefined
    return {
      digest: digestFromBytes(row.digest),
      sizeBytes: row.size,
      blob: { digest: digestFromBytes(row.blob_digest), sizeBytes: row.blob_size },
      xattrs: row.xattrs === 1,
    }
  }

  recordIndex(key: Digest, index: KnownIndex): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO known_index VALUES (?, ?, ?, ?, ?, ?)')
      .run(
        bytesFromDigest(key),
        bytesFromDigest(index.digest),
        index.sizeBytes,
        bytesFromDigest(index.blob.digest),
        index.blob.sizeBytes,
        index.xattrs ? 1 : 0,
      )
  }

  /**
   * The diff ID of a layer blob, as it was found when the blob was read. `undefined` for a blob that
   * was never read. A diff ID that an image's configuration claims is not to be trusted instead.
   */
  diffIdOf(blob: Digest): Digest | undefined {
    const row = this.#db
      .prepare<unknown[], { diff_id: Buffer }>('SELECT diff_id FROM layer_blob WHERE digest = ?')
      .get(bytesFromDigest(blob))
    return row && digestFromBytes(row.diff_id)
  }

  /** Records the digests of a layer that was read to its end: compressed, and uncompressed. */
  recordLayerBlob(blob: Digest, diffId: Digest): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO layer_blob VALUES (?, ?)')
      .run(bytesFromDigest(blob), bytesFromDigest(diffId))
  }

  /** The names of the stores in which the blob was seen. */
  storesOf(digest: Digest): string[] {
    return this.#db
      .prepare<unknown[], { store: string }>(
        'SELECT store FROM blob WHERE digest = ? ORDER BY store',
      )
      .all(bytesFromDigest(digest))
      .map((row) => row.store)
  }

  recordBlob(digest: Digest, sizeBytes: number, store: string): void {
    this.#db
      .prepare('INSERT OR REPLACE INTO blob VALUES (?, ?, ?)')
      .run(bytesFromDigest(digest), store, sizeBytes)
  }

  forgetBlob(digest: Digest, store: string): void {
    this.#db
      .prepare('DELETE FROM blob WHERE digest = ? AND store = ?')
      .run(bytesFromDigest(digest), store)
  }

  /**
   * Records packs that a store has, and contents whose pieces lie in these packs or in older ones.
   * Leaves out contents with pieces in unknown packs.
   */
  recordPacks(
    tables: readonly PackTable[],
    contents: Iterable<{ digest: Digest; pieces: readonly StoredPiece[] }>,
  ): void {
    this.#db
      .transaction(() => {
        const { isEmpty } = this
        const ids = new Map<Digest, number>()
        for (const table of tables) ids.set(table.digest, this.#recordPack(table))
        const content = this.#db.prepare('INSERT INTO content (digest) VALUES (?)')
        const piece = this.#db.prepare('INSERT INTO piece VALUES (?, ?, ?, ?, ?)')
        for (const one of contents) {
          const packs = one.pieces.map(({ pack }) => ids.get(pack) ?? this.#packId(pack))
          if (packs.some((id) => id === undefined)) continue
          if (!isEmpty && this.#isRecorded(one)) continue
          const { lastInsertRowid } = content.run(bytesFromDigest(one.digest))
          for (const [position, { rawOffset, length }] of one.pieces.entries()) {
            piece.run(lastInsertRowid, position, packs[position], rawOffset, length)
          }
        }
      })
      .immediate()
  }

  /** Forgets a pack that no store has any more, and every content with a piece in it. */
  forgetPack(digest: Digest): void {
    const id = this.#packId(digest)
    if (id === undefined) return
    this.#db
      .transaction(() => {
        this.#db
          .prepare('DELETE FROM content WHERE id IN (SELECT content FROM piece WHERE pack = ?)')
          .run(id)
        this.#db.prepare('DELETE FROM pack WHERE id = ?').run(id)
      })
      .immediate()
  }

  packTable(digest: Digest): PackTable | undefined {
    const pack = this.#db
      .prepare<unknown[], { id: number; size: number; raw_size: number }>(
        'SELECT id, size, raw_size FROM pack WHERE digest = ?',
      )
      .get(bytesFromDigest(digest))
    if (pack === undefined) return undefined
    const frames = this.#db
      .prepare<unknown[], FrameRow>('SELECT * FROM frame WHERE pack = ? ORDER BY raw_offset')
      .all(pack.id)
      .map(frameFromRow)
    return { digest, sizeBytes: pack.size, rawSizeBytes: pack.raw_size, frames }
  }

  /** Whether no pack is recorded. Then no content is either, and callers need not ask for each. */
  get isEmpty(): boolean {
    return this.#statements.anyPack.get() === undefined
  }

  /**
   * The copies of a file content, newest first, at most MAX_COPIES. Each copy is a list of its
   * pieces in order.
   */
  contents(digest: Digest): StoredPiece[][] {
    return this.#statements.contents
      .all(bytesFromDigest(digest))
      .map(({ id }) => this.#statements.pieces.all(id).map(pieceFromRow))
  }

  /** The copies of a frame, newest first, at most MAX_COPIES. */
  frames(digest: Digest): StoredPiece[] {
    return this.#statements.frames.all(bytesFromDigest(digest)).map(pieceFromRow)
  }

  /** Idempotent. */
  close(): void {
    this.#db.close()
  }

  #recordPack(table: PackTable): number {
    const known = this.#packId(table.digest)
    if (known !== undefined) return known
    const { lastInsertRowid } = this.#db
      .prepare('INSERT INTO pack (digest, size, raw_size) VALUES (?, ?, ?)')
      .run(bytesFromDigest(table.digest), table.sizeBytes, table.rawSizeBytes)
    const frame = this.#db.prepare('INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?)')
    for (const one of table.frames) {
      const { rawOffset, rawSizeBytes, offset, sizeBytes } = one
      frame.run(
        lastInsertRowid,
        rawOffset,
        rawSizeBytes,
        offset,
        sizeBytes,
        bytesFromDigest(one.digest),
      )
    }
    return Number(lastInsertRowid)
  }

  #isRecorded(content: { digest: Digest; pieces: readonly StoredPiece[] }): boolean {
    const [first] = content.pieces
    return this.contents(content.digest).some(
      ([other]) => other?.pack === first?.pack && other?.rawOffset === first?.rawOffset,
    )
  }

  #packId(digest: Digest): number | undefined {
    return this.#statements.packId.get(bytesFromDigest(digest))?.id
  }
}

interface IndexRow {
  readonly digest: Buffer
  readonly size: number
  readonly blob_digest: Buffer
  readonly blob_size: number
  readonly xattrs: number
}

interface PieceRow {
  readonly digest: Buffer
  readonly raw_offset: number
  readonly length: number
}

function pieceFromRow(row: PieceRow): StoredPiece {
  return { pack: digestFromBytes(row.digest), rawOffset: row.raw_offset, length: row.length }
}

function prepared(db: Database.Database) {
  return {
    anyPack: db.prepare<[], { id: number }>('SELECT id FROM pack LIMIT 1'),
    packId: db.prepare<[Uint8Array], { id: number }>('SELECT id FROM pack WHERE digest = ?'),
    contents: db.prepare<[Uint8Array], { id: number }>(
      `SELECT id FROM content WHERE digest = ? ORDER BY id DESC LIMIT ${MAX_COPIES}`,
    ),
    pieces: db.prepare<[number], PieceRow>(
      `SELECT p.digest, s.raw_offset, s.length FROM piece s JOIN pack p ON p.id = s.pack
       WHERE s.content = ? ORDER BY s.position`,
    ),
    frames: db.prepare<[Uint8Array], PieceRow>(
      `SELECT p.digest, f.raw_offset, f.raw_size AS length FROM frame f JOIN pack p ON p.id = f.pack
       WHERE f.digest = ? ORDER BY f.pack DESC LIMIT ${MAX_COPIES}`,
    ),
  }
}

interface FrameRow {
  readonly raw_offset: number
  readonly raw_size: number
  readonly offset: number
  readonly size: number
  readonly digest: Buffer
}

function frameFromRow(row: FrameRow): Frame {
  return {
    rawOffset: row.raw_offset,
    rawSizeBytes: row.raw_size,
    offset: row.offset,
    sizeBytes: row.size,
    digest: digestFromBytes(row.digest),
  }
}

function prepare(db: Database.Database, path: string): void {
  const id = db.pragma('application_id', { simple: true })
  const version = db.pragma('user_version', { simple: true })
  if (id === APPLICATION_ID && version === VERSION) return
  if (id === APPLICATION_ID && version === 1) {
    db.exec(LAYER_BLOB_SCHEMA)
    db.pragma(`user_version = ${VERSION}`)
    return
  }
  const tables = db.prepare<[], { n: number }>('SELECT count(*) AS n FROM sqlite_schema').get()
  if (id !== 0 || version !== 0 || tables?.n !== 0) {
    throw new SnapshotterError(
      'failed-precondition',
      `${path}: not a publisher's database of version ${VERSION}; move it away or name another file`,
    )
  }
  db.exec(SCHEMA)
  db.pragma(`application_id = ${APPLICATION_ID}`)
  db.pragma(`user_version = ${VERSION}`)
}
