/**
 * The snapshots, in SQLite. Every change is one explicit transaction, which is on disk before the
 * call is answered. containerd's own database does the same, and the two must agree after a power
 * cut.
 *
 * Only one process at a time can open the file: it stays locked until it is closed.
 */
import BetterSqlite from 'better-sqlite3'
import { SnapshotterError } from '../../errors.js'
import { labelsFromJson } from './labels.js'
import type { Kind, Labels, Snapshot } from './snapshot.js'
import { type ThinLayer, type Usage, thinLayerFromJson } from './thin-layers.js'

/** "THSN". file(1) and this class recognize the database by it. */
const APPLICATION_ID = 0x5448534e
/** Version of the schema below. */
const SCHEMA_VERSION = 1

const SCHEMA = `
  CREATE TABLE snapshot (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    key         TEXT NOT NULL UNIQUE,
    kind        TEXT NOT NULL CHECK (kind IN ('view', 'active', 'committed')),
    parent      INTEGER REFERENCES snapshot (id),
    labels      TEXT NOT NULL,
    created_ns  INTEGER NOT NULL,
    updated_ns  INTEGER NOT NULL,
    size_bytes  INTEGER NOT NULL,
    inodes      INTEGER NOT NULL,
    thin        TEXT
  ) STRICT;
  CREATE INDEX snapshot_by_parent ON snapshot (parent) WHERE parent IS NOT NULL;
`

/** The columns of the schema. */
export const STORED_COLUMNS = [
  ...['id', 'key', 'kind', 'parent', 'labels', 'created_ns', 'updated_ns'],
  ...['size_bytes', 'inodes', 'thin'],
] as const

/** A row as it is stored; integers are bigint. */
export interface StoredSnapshot {
  readonly id: bigint
  readonly key: string
  readonly kind: Kind
  /** The id of the parent. */
  readonly parent: bigint | null
  readonly labels: string
  readonly created_ns: bigint
  readonly updated_ns: bigint
  readonly size_bytes: bigint
  readonly inodes: bigint
  readonly thin: string | null
}

const COLUMNS = `s.id, s.key, s.kind, p.key AS parent, s.labels, s.created_ns AS createdNs,
  s.updated_ns AS updatedNs, s.size_bytes AS sizeBytes, s.inodes, s.thin`

const FROM = 'FROM snapshot AS s LEFT JOIN snapshot AS p ON p.id = s.parent'

/** A row of `COLUMNS`. Integers are bigint, because nanoseconds do not fit into a number. */
interface Row {
  readonly id: bigint
  readonly key: string
  readonly kind: Kind
  readonly parent: string | null
  readonly labels: string
  readonly createdNs: bigint
  readonly updatedNs: bigint
  readonly sizeBytes: bigint
  readonly inodes: bigint
  readonly thin: string | null
}

/** A snapshot to be inserted. */
export interface NewSnapshot {
  readonly key: string
  readonly kind: 'view' | 'active'
  readonly parentId: number | undefined
  readonly labels: Labels
  readonly timeNs: bigint
}

/** The new state of an active snapshot that is committed. */
export interface CommittedSnapshot {
  readonly id: number
  readonly name: string
  readonly parentId: number | undefined
  readonly labels: Labels
  readonly timeNs: bigint
  readonly usage: Usage
  readonly thin: ThinLayer | undefined
}

export class SnapshotDatabase {
  readonly #database: BetterSqlite.Database
  readonly #statements: Statements

  private constructor(database: BetterSqlite.Database) {
    this.#database = database
    this.#statements = prepareStatements(database)
  }

  /**
   * Opens or creates the database. Throws `failed-precondition` when another process has it open,
   * when it is another kind of database, or when it has another schema version. Throws `internal`
   * when SQLite fails. The caller closes it.
   */
  static open(path: string): SnapshotDatabase {
    let database: BetterSqlite.Database | undefined
    try {
      database = new BetterSqlite(path, { timeout: 0 })
      prepareFile(database, path)
      return new SnapshotDatabase(database)
    } catch (error) {
      database?.close()
      if (error instanceof BetterSqlite.SqliteError && error.code.startsWith('SQLITE_BUSY')) {
        const message = `open ${path}: another process has it open; one daemon per root directory`
        throw new SnapshotterError('failed-precondition', message, { cause: error })
      }
      throw SnapshotterError.from(error, `open ${path}`)
    }
  }

  /**
   * Fills an empty database with rows of another one. New snapshots get ids above `lastId`.
   */
  fill(rows: readonly StoredSnapshot[], lastId: number): void {
    this.transaction(() => {
      const insert = this.#database.prepare(
        `INSERT INTO snapshot (${STORED_COLUMNS.join()})
         VALUES (${STORED_COLUMNS.map((name) => `@${name}`).join()})`,
      )
      for (const row of rows) insert.run(row)
      this.#database.prepare("DELETE FROM sqlite_sequence WHERE name = 'snapshot'").run()
      this.#database.prepare("INSERT INTO sqlite_sequence VALUES ('snapshot', ?)").run(lastId)
    })
  }

  /** Idempotent. */
  close(): void {
    this.#database.close()
  }

  /** Runs `change` in a transaction. When it throws, the transaction is rolled back. */
  transaction<T>(change: () => T): T {
    return this.#database.transaction(change).immediate()
  }

  get(key: string): Snapshot | undefined {
    const row = this.#statements.get.get(key)
    return row === undefined ? undefined : snapshotFromRow(row)
  }

  /**
   * The snapshot `key` and its ancestors, the nearest first. Empty if there is no such snapshot.
   */
  chain(key: string): Snapshot[] {
    return this.#statements.chain.all(key).map(snapshotFromRow)
  }

  /** All snapshots, oldest first, one by one. No other call may be made until the loop ends. */
  *all(): Generator<Snapshot> {
    for (const row of this.#statements.all.iterate()) yield snapshotFromRow(row)
  }

  ids(): Set<number> {
    return new Set(this.#statements.ids.all().map(({ id }) => Number(id)))
  }

  hasChildren(id: number): boolean {
    return this.#statements.child.get(id) !== undefined
  }

  /** Adds a snapshot and returns its id. The key must be free. */
  insert(snapshot: NewSnapshot): number {
    const { lastInsertRowid } = this.#statements.insert.run({
      key: snapshot.key,
      kind: snapshot.kind,
      parent: snapshot.parentId ?? null,
      labels: JSON.stringify(snapshot.labels),
      timeNs: snapshot.timeNs,
    })
    return Number(lastInsertRowid)
  }

  /** Turns the active snapshot `id` into a committed one. Its new name must be free. */
  commit(snapshot: CommittedSnapshot): void {
    this.#statements.commit.run({
      id: snapshot.id,
      name: snapshot.name,
      parent: snapshot.parentId ?? null,
      labels: JSON.stringify(snapshot.labels),
      timeNs: snapshot.timeNs,
      sizeBytes: snapshot.usage.sizeBytes,
      inodes: snapshot.usage.inodes,
      thin: snapshot.thin === undefined ? null : JSON.stringify(snapshot.thin),
    })
  }

  update(id: number, labels: Labels, timeNs: bigint): void {
    this.#statements.update.run({ id, labels: JSON.stringify(labels), timeNs })
  }

  remove(id: number): void {
    this.#statements.remove.run(id)
  }
}

interface Statements {
  readonly get: BetterSqlite.Statement<[string], Row>
  readonly chain: BetterSqlite.Statement<[string], Row>
  readonly all: BetterSqlite.Statement<[], Row>
  readonly ids: BetterSqlite.Statement<[], { id: bigint }>
  readonly child: BetterSqlite.Statement<[number]>
  readonly insert: BetterSqlite.Statement
  readonly commit: BetterSqlite.Statement
  readonly update: BetterSqlite.Statement
  readonly remove: BetterSqlite.Statement
}

function prepareStatements(database: BetterSqlite.Database): Statements {
  return {
    get: database
      .prepare<[string], Row>(`SELECT ${COLUMNS} ${FROM} WHERE s.key = ?`)
      .safeIntegers(),
    chain: database
      .prepare<[string], Row>(
        `WITH RECURSIVE chain (id, depth) AS (
           SELECT id, 0 FROM snapshot WHERE key = ?
           UNION ALL
           SELECT snapshot.parent, depth + 1 FROM chain JOIN snapshot USING (id)
           WHERE snapshot.parent IS NOT NULL
         )
         SELECT ${COLUMNS} ${FROM} JOIN chain ON chain.id = s.id ORDER BY chain.depth`,
      )
      .safeIntegers(),
    all: database.prepare<[], Row>(`SELECT ${COLUMNS} ${FROM} ORDER BY s.id`).safeIntegers(),
    ids: database.prepare<[], { id: bigint }>('SELECT id FROM snapshot').safeIntegers(),
    child: database.prepare<[number]>('SELECT 1 FROM snapshot WHERE parent = ? LIMIT 1'),
    insert: database.prepare(
      `INSERT INTO snapshot
         (key, kind, parent, labels, created_ns, updated_ns, size_bytes, inodes, thin)
       VALUES (@key, @kind, @parent, @labels, @timeNs, @timeNs, 0, 0, NULL)`,
    ),
    commit: database.prepare(
      `UPDATE snapshot
       SET key = @name, kind = 'committed', parent = @parent, labels = @labels,
           created_ns = @timeNs, updated_ns = @timeNs,
           size_bytes = @sizeBytes, inodes = @inodes, thin = @thin
       WHERE id = @id`,
    ),
    update: database.prepare(
      'UPDATE snapshot SET labels = @labels, updated_ns = @timeNs WHERE id = @id',
    ),
    remove: database.prepare('DELETE FROM snapshot WHERE id = ?'),
  }
}

/**
 * Locks the file, checks application id and schema version, and creates the schema in a new file.
 */
function prepareFile(database: BetterSqlite.Database, path: string): void {
  // The exclusive mode is set before WAL. SQLite then holds the lock until close and needs no
  // shared memory file.
  database.pragma('locking_mode = EXCLUSIVE')
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  database.pragma('foreign_keys = ON')
  database
    .transaction(() => {
      const version = database.pragma('user_version', { simple: true })
      const applicationId = database.pragma('application_id', { simple: true })
      if (version === 0 && applicationId === 0 && isEmpty(database)) {
        database.exec(SCHEMA)
        database.pragma(`application_id = ${APPLICATION_ID}`)
        database.pragma(`user_version = ${SCHEMA_VERSION}`)
      } else if (applicationId !== APPLICATION_ID) {
        const message = `open ${path}: this is not a snapshot database; move it away or set another root`
        throw new SnapshotterError('failed-precondition', message)
      } else if (version !== SCHEMA_VERSION) {
        const message = `open ${path}: schema version ${String(version)}, this build reads ${SCHEMA_VERSION}`
        throw new SnapshotterError('failed-precondition', message)
      }
    })
    .immediate()
  const damage = database.pragma('quick_check(1)', { simple: true })
  if (damage === 'ok') return
  throw new SnapshotterError('internal', `open ${path}: it is damaged: ${String(damage)}`)
}

function isEmpty(database: BetterSqlite.Database): boolean {
  return database.prepare('SELECT 1 FROM sqlite_schema LIMIT 1').get() === undefined
}

function snapshotFromRow(row: Row): Snapshot {
  return {
    id: Number(row.id),
    key: row.key,
    kind: row.kind,
    parent: row.parent ?? undefined,
    labels: labelsFromJson(row.key, row.labels),
    createdNs: row.createdNs,
    updatedNs: row.updatedNs,
    usage: { sizeBytes: Number(row.sizeBytes), inodes: Number(row.inodes) },
    thin: row.thin === null ? undefined : thinFromRow(row.key, row.thin),
  }
}

function thinFromRow(key: string, text: string): ThinLayer {
  const layer = thinLayerFromJson(text)
  if (layer !== undefined) return layer
  throw new SnapshotterError('internal', `snapshot "${key}": its thin layer is not one: ${text}`)
}
