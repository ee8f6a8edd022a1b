/**
 * Repairs a snapshot database that is damaged or missing. The snapshots that can still be read are
 * copied into a new database. The damaged file is kept beside it.
 */
import { copyFile, mkdtemp, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import BetterSqlite from 'better-sqlite3'
import { SnapshotterError } from '../../errors.js'
import { labelsFromJson } from './labels.js'
import { SnapshotDatabase, STORED_COLUMNS, type StoredSnapshot } from './snapshot-database.js'
import { SnapshotDirectories } from './snapshot-directories.js'
import { databasePath, isReadable } from './store-files.js'
import { thinLayerFromJson } from './thin-layers.js'

export interface RepairResult {
  /** Number of snapshots in the new database. */
  readonly kept: number
  /**
   * Number of directories whose snapshot is not in the new database. They stay while a container
   * uses them.
   */
  readonly lostDirectories: number
  /** The present path of the damaged file. Undefined if there was none. */
  readonly savedAs: string | undefined
}

/** The files of a database: the database, its write-ahead log, and its shared memory. */
const FILE_SUFFIXES = ['', '-wal', '-shm'] as const

/**
 * Repairs the database of `root`. With `reset`, the new database is empty. Returns undefined if the
 * database needs no repair. Throws `failed-precondition` if a process has it open. Without `reset`,
 * throws `invalid-content` if no snapshot can be read from it.
 */
export async function repairDatabase(
  root: string,
  options: { reset: boolean },
): Promise<RepairResult | undefined> {
  const path = databasePath(root)
  if (!options.reset && (await isReadable(root))) return undefined
  requireUnlocked(path)
  const rows = options.reset ? [] : await salvagedRows(path)
  if (rows.length === 0 && !options.reset) {
    throw new SnapshotterError(
      'invalid-content',
      `${path}: no snapshot can be read from it; "thinctl repair --reset" starts with an empty database, ` +
        'and every image has to be pulled again',
    )
  }
  const folder = await mkdtemp(join(root, 'repair-'))
  try {
    const fresh = join(folder, basename(path))
    const lastId = Math.max(
      await SnapshotDirectories.lastId(root),
      ...rows.map(({ id }) => Number(id)),
    )
    const database = SnapshotDatabase.open(fresh)
    try {
      database.fill(rows, lastId)
    } finally {
      database.close()
    }
    const savedAs = await setAside(path)
    await rename(fresh, path)
    const known = new Set(rows.map(({ id }) => Number(id)))
    const ids = await SnapshotDirectories.ids(root)
    return {
      kept: rows.length,
      lostDirectories: ids.filter((id) => !known.has(id)).length,
      savedAs,
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Throws `failed-precondition` if a process has the database open. If SQLite can read the header of
 * a file, it reports the lock before any damage.
 */
function requireUnlocked(path: string): void {
  try {
    SnapshotDatabase.open(path).close()
  } catch (error) {
    if (error instanceof SnapshotterError && error.code === 'failed-precondition') throw error
  }
}

async function setAside(path: string): Promise<string | undefined> {
  const savedAs = `${path}.damaged-${new Date().toISOString().replaceAll(':', '')}`
  let found: string | undefined
  for (const suffix of FILE_SUFFIXES) {
    if ((await stat(path + suffix).catch(() => undefined)) === undefined) continue
    await rename(path + suffix, savedAs + suffix)
    if (suffix === '') found = savedAs
  }
  return found
}

/** Reads the rows from a copy of the database, because opening a database writes to it. */
async function salvagedRows(path: string): Promise<StoredSnapshot[]> {
  const folder = await mkdtemp(`${path}-copy-`)
  try {
    const copy = join(folder, basename(path))
    for (const suffix of FILE_SUFFIXES) {
      if ((await stat(path + suffix).catch(() => undefined)) === undefined) continue
      await copyFile(path + suffix, copy + suffix)
    }
    return withParents(readableRows(copy))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * The rows before and behind damaged pages. The table is read from both ends, each time up to the
 * first error.
 */
function readableRows(path: string): StoredSnapshot[] {
  const rows = new Map<bigint, StoredSnapshot>()
  let database: BetterSqlite.Database | undefined
  try {
    database = new BetterSqlite(path, { fileMustExist: true })
    // Lets SQLite read the rest of a file that was cut off.
    database.unsafeMode(true)
    database.pragma('writable_schema = ON')
    for (const direction of ['ASC', 'DESC']) {
      const statement = database
        .prepare<[], StoredSnapshot>(
          `SELECT ${STORED_COLUMNS.join()} FROM snapshot NOT INDEXED ORDER BY id ${direction}`,
        )
        .safeIntegers()
      try {
        for (const row of statement.iterate()) if (isSound(row)) rows.set(row.id, row)
      } catch {
        // The rest of this direction cannot be read.
      }
    }
  } catch {
    // The file is no database any more, or it lacks our table. There are no rows then.
  } finally {
    database?.close()
  }
  return [...rows.values()]
}

function isSound({ id, key, kind, labels, thin }: StoredSnapshot): boolean {
  try {
    labelsFromJson(key, labels)
    const isKind = ['view', 'active', 'committed'].includes(kind)
    return id > 0n && isKind && (thin === null || thinLayerFromJson(thin) !== undefined)
  } catch {
    return false
  }
}

/**
 * The rows whose ancestors are all in `rows`, parents first. Of two rows with the same key, the one
 * with the greater id is used.
 */
function withParents(rows: readonly StoredSnapshot[]): StoredSnapshot[] {
  const byKey = new Map([...rows].sort((a, b) => Number(a.id - b.id)).map((row) => [row.key, row]))
  const kept = new Map<bigint, StoredSnapshot>()
  for (;;) {
    const before = kept.size
    for (const row of byKey.values()) {
      if (row.parent === null || kept.has(row.parent)) kept.set(row.id, row)
    }
    if (kept.size === before) return [...kept.values()]
  }
}
