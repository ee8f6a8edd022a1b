/**
 * Opens an index file and checks that it is one: application id, version and tables. SQLite's
 * errors for damaged bytes become `IndexFormatError` here.
 */
import { statSync } from 'node:fs'
import Database, { type Database as Connection } from 'better-sqlite3'
import { IndexFormatError } from '../errors.js'
import { type IndexMeta, metaFromRows } from './index-meta.js'
import { APPLICATION_ID, INDEX_VERSION, PAGE_BYTES, TABLES } from './schema.js'

/** Codes of SQLite errors that mean that the bytes of the file are wrong. */
const DAMAGED = /^SQLITE_(?:CORRUPT|NOTADB|FORMAT|ERROR|TOOBIG|MISMATCH|IOERR_SHORT_READ)/

/**
 * Opens `path` read-only, with `cacheBytes` of page cache in SQLite, at least 16 KiB. Throws as
 * `Index.open` does. The caller closes the connection.
 */
export function openConnection(path: string, cacheBytes: number): Connection {
  const connection = new Database(path, { readonly: true, fileMustExist: true })
  try {
    connection.pragma('trusted_schema=OFF')
    connection.pragma('cell_size_check=ON')
    connection.pragma('mmap_size=0')
    // Nobody writes to the file. In this mode SQLite keeps the shared lock of the first read: later
    // statements neither ask the kernel for locks nor check whether the file has changed.
    connection.pragma('locking_mode=EXCLUSIVE')
    connection.pragma(`cache_size=-${Math.max(16, Math.floor(cacheBytes / 1024))}`)
    refuseForeignFile(connection)
    refuseOddSize(connection, statSync(path).size)
    return connection
  } catch (cause) {
    connection.close()
    throw refusal(path, cause)
  }
}

/** Reads the meta table. Throws `invalid-index`. */
export function readMeta(connection: Connection): IndexMeta {
  return metaFromRows(
    connection.prepare<[], unknown[]>('SELECT key,value FROM meta LIMIT 100').raw().all(),
  )
}

/** The root page of each table, by its name. */
export type RootPages = ReadonlyMap<string, number>

export function rootPages(connection: Connection): RootPages {
  const rows = connection
    .prepare<[], [string, number]>('SELECT name,rootpage FROM sqlite_schema LIMIT 100')
    .raw()
    .all()
  return new Map(rows)
}

/** SQLite reads a missing end of the last page as zeroes. Here a missing end counts as damage. */
function refuseOddSize(connection: Connection, fileBytes: number): void {
  const pages = connection.pragma('page_count', { simple: true })
  const pageBytes = connection.pragma('page_size', { simple: true })
  if (pageBytes !== PAGE_BYTES || pages !== fileBytes / PAGE_BYTES) {
    const claim = `${String(pages)} pages of ${String(pageBytes)} bytes`
    throw new IndexFormatError('invalid-index', `${fileBytes} bytes, where it claims ${claim}`)
  }
}

function refuseForeignFile(connection: Connection): void {
  const id = connection.pragma('application_id', { simple: true })
  if (id !== APPLICATION_ID) {
    throw new IndexFormatError('invalid-index', `application_id is ${String(id)}, not "THIN"`)
  }
  const version = connection.pragma('user_version', { simple: true })
  if (version !== INDEX_VERSION) {
    const message = `format version ${String(version)}, this build reads ${INDEX_VERSION}`
    throw new IndexFormatError('unsupported-version', message)
  }
  const schema = connection
    .prepare<[], unknown[]>('SELECT name,sql FROM sqlite_schema ORDER BY rowid LIMIT 100')
    .raw()
    .all()
  const same =
    schema.length === TABLES.length &&
    TABLES.every((table, at) => schema[at]?.[0] === table.name && schema[at][1] === table.sql)
  if (!same) {
    throw new IndexFormatError('invalid-index', 'its tables are not those of the format')
  }
}

/**
 * The error to throw for `cause`, naming the file. An `IndexFormatError` keeps its code, a SQLite
 * error for damaged bytes becomes `invalid-index`, and any other error is returned as it is.
 */
export function refusal(path: string, cause: unknown): unknown {
  if (cause instanceof IndexFormatError) {
    return new IndexFormatError(cause.code, `read index ${path}: ${cause.message}`, { cause })
  }
  if (cause instanceof Database.SqliteError && DAMAGED.test(cause.code)) {
    const message = `read index ${path}: ${cause.message}`
    return new IndexFormatError('invalid-index', message, { cause })
  }
  return cause
}
