/**
 * Repairs a snapshot database that is damaged or missing: what can be read of it goes into a new
 * one. The damaged file is kept beside it.
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
  /** Snapshots that the new database has. */
  readonly kept: number
  /** Directories of snapshots that it does not have. They stay while a container uses them. */
  readonly lostDirectories: number
  /** Where the damaged file is now; undefined where there was none. */
  readonly savedAs: string | undefined
}

/** Its write-ahead log and shared memory belong to a database. */
const FILE_SUFFIXES = ['', '-wal', '-shm'] as const

/**
 * Repairs the database of `root`; with `reset`, nothing of the old one is taken over. Undefined where
 * it needs no repair. Throws `failed-precondition` when a process has it open, `invalid-content` when
 * nothing of it can be read and `reset` is not given.
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

/** SQLite tells that a file is locked before it tells that it is damaged, if it can read its header. */
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

/** Reads a copy: opening a database writes to it. */
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

/** Rows before and behind damaged pages: from both ends, each up to the first error. */
function readableRows(path: string): StoredSnapshot[] {
  const rows = new Map<bigint, StoredSnapshot>()
  let database: BetterSqlite.Database | undefined
  try {
    database = new BetterSqlite(path, { fileMustExist: true })
    // Lets SQLite read what is there of a file that was cut off.
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
    // Not a database any more, or without our table: no rows.
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

/** The rows whose ancestors are all there, parents first; of two with the same key, the later one. */
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
