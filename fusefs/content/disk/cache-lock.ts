/**
 * Keeps two processes out of one cache. SQLite's lock on an empty database does it: it is let go by
 * the kernel when the process dies, however that happens, and Node.js has no flock(2) of its own.
 */
import Database from 'better-sqlite3'
import { FusefsError } from '../../errors.js'

export class CacheLock {
  readonly #database: Database.Database

  private constructor(database: Database.Database) {
    this.#database = database
  }

  /** Throws `cache-io` when another process, or another store of this one, has the lock. */
  static take(path: string): CacheLock {
    let database: Database.Database | undefined
    try {
      database = new Database(path, { timeout: 0 })
      database.exec('BEGIN EXCLUSIVE')
      return new CacheLock(database)
    } catch (cause) {
      database?.close()
      const busy = cause instanceof Database.SqliteError && cause.code === 'SQLITE_BUSY'
      const reason = busy ? 'another process uses this cache' : 'it cannot be locked'
      throw new FusefsError('cache-io', `cache lock ${path}: ${reason}`, { cause })
    }
  }

  /** Idempotent. */
  release(): void {
    this.#database.close()
  }
}
