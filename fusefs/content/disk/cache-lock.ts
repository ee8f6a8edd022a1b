/**
 * Keeps a second process from using the same cache. The lock is SQLite's lock on an empty database,
 * because Node.js has no flock(2). The kernel releases it when the process dies, however that
 * happens.
 */
import Database from 'better-sqlite3'
import { FusefsError } from '../../errors.js'

export class CacheLock {
  readonly #database: Database.Database

  private constructor(database: Database.Database) {
    this.#database = database
  }

  /**
   * Takes the lock. Throws `cache-io` when another process, or another store of this process, has
   * it. The caller releases it.
   */
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

  /** Releases the lock. Idempotent. */
  release(): void {
    this.#database.close()
  }
}
