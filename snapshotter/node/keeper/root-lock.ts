/**
 * The lock on a node's root directory. It keeps a second keeper from mounting over the mounts of
 * the first. The keeper and the daemon that it starts share the lock. After a keeper has died, the
 * lock is therefore held until its daemon has ended.
 */
import { spawn } from 'node:child_process'
import { type FileHandle, mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotterError } from '../../errors.js'

/** An orphaned daemon ends in order within this time. */
const DEFAULT_WAIT_SECONDS = 10
/** The exit status of flock(1) when the lock was not free in time. */
const FLOCK_NOT_FREE = 75

export class RootLock {
  readonly #handle: FileHandle

  private constructor(handle: FileHandle) {
    this.#handle = handle
  }

  /**
   * Locks `<root>/keeper.lock`, which is created if it is missing, as is `root`. Waits up to
   * `waitSeconds` (default 10). Throws `failed-precondition` when another process holds the lock,
   * `internal` when flock(1) fails. The caller closes the lock.
   */
  static async take(root: string, waitSeconds = DEFAULT_WAIT_SECONDS): Promise<RootLock> {
    const path = join(root, 'keeper.lock')
    try {
      await mkdir(root, { recursive: true, mode: 0o700 })
      const handle = await open(path, 'a', 0o600)
      try {
        const status = await runFlock(handle.fd, waitSeconds)
        if (status === 0) return new RootLock(handle)
        if (status === FLOCK_NOT_FREE) {
          const message = `lock ${path}: another keeper or its daemon serves this root; use another root, or shut that one down`
          throw new SnapshotterError('failed-precondition', message)
        }
        throw new SnapshotterError('internal', `lock ${path}: flock ended with ${String(status)}`)
      } catch (error) {
        await handle.close()
        throw error
      }
    } catch (error) {
      throw SnapshotterError.from(error, `lock ${path}`)
    }
  }

  /** The descriptor of the lock. A child that inherits it shares the lock. */
  get fd(): number {
    return this.#handle.fd
  }

  /** Idempotent. The lock ends when no child shares it any more. */
  async close(): Promise<void> {
    await this.#handle.close()
  }
}

/**
 * flock(1) locks the open file that it shares with us as descriptor 3. The lock is on that open
 * file, not on the process, and stays when flock ends; see flock(2).
 */
async function runFlock(fd: number, waitSeconds: number): Promise<number | null> {
  const args = ['--exclusive', '--wait', String(waitSeconds), '--conflict-exit-code', '75', '3']
  const child = spawn('flock', args, { stdio: ['ignore', 'ignore', 'ignore', fd] })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
}
