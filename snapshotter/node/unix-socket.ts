/**
 * A unix socket at a known path: put there by rename, so that nobody ever connects to one with the
 * wrong mode, and never in the place of one that somebody listens on.
 */
import type { BigIntStats } from 'node:fs'
import { chmod, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'

/** `sun_path` of unix(7) has 108 bytes, the last one zero. */
const MAX_PATH_BYTES = 107
/** Listening is a matter of the local kernel: it answers at once. */
const PROBE_TIMEOUT_MS = 2000

export interface UnixSocketOptions {
  /** Absolute path of the socket. Its directory is created where it is missing. */
  readonly path: string
  /** Permission bits; the socket never has others. */
  readonly mode: number
}

/** A socket file that is ours. */
export class UnixSocket {
  readonly #path: string
  readonly #inode: bigint

  private constructor(path: string, inode: bigint) {
    this.#path = path
    this.#inode = inode
  }

  /**
   * Has `listen` bind a temporary path and moves the socket to its own. A socket nobody listens on
   * is replaced. Throws `failed-precondition` when somebody does, or the path is not a socket's;
   * `invalid-argument` when it is too long.
   */
  static async create(
    options: UnixSocketOptions,
    listen: (path: string) => Promise<void>,
  ): Promise<UnixSocket> {
    const { path, mode } = options
    const attempt = `listen on ${path}`
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o711 })
      await requireFree(path)
      const temporary = await mkdtemp(join(dirname(path), '.s-'))
      try {
        const unnamed = join(temporary, 's')
        requireShort(path, attempt)
        requireShort(unnamed, attempt)
        await listen(unnamed)
        await chmod(unnamed, mode)
        const { ino } = await lstat(unnamed, { bigint: true })
        await rename(unnamed, path)
        return new UnixSocket(path, ino)
      } finally {
        await rm(temporary, { recursive: true, force: true })
      }
    } catch (error) {
      throw SnapshotterError.from(error, attempt)
    }
  }

  /** Removes the file, unless another one has taken its place. Idempotent. */
  async close(): Promise<void> {
    const found = await lstatIfThere(this.#path)
    if (found?.ino === this.#inode) await rm(this.#path, { force: true })
  }
}

function requireShort(path: string, attempt: string): void {
  const bytes = Buffer.byteLength(path)
  if (bytes <= MAX_PATH_BYTES) return
  const message = `${attempt}: a socket's path may have ${MAX_PATH_BYTES} bytes, ${path} has ${bytes}`
  throw new SnapshotterError('invalid-argument', message)
}

async function requireFree(path: string): Promise<void> {
  const found = await lstatIfThere(path)
  if (found === undefined) return
  if (!found.isSocket()) {
    const message = `listen on ${path}: there is something that is not a socket; move it away`
    throw new SnapshotterError('failed-precondition', message)
  }
  if (!(await isListenedOn(path))) return
  const message = `listen on ${path}: another process listens there; stop it or set another address`
  throw new SnapshotterError('failed-precondition', message)
}

async function lstatIfThere(path: string): Promise<BigIntStats | undefined> {
  try {
    return await lstat(path, { bigint: true })
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}

/** Whether a connection is accepted; one that is neither accepted nor refused counts as accepted. */
async function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    const answer = (listening: boolean): void => {
      socket.destroy()
      resolve(listening)
    }
    socket.setTimeout(PROBE_TIMEOUT_MS, () => {
      answer(true)
    })
    socket.once('connect', () => {
      answer(true)
    })
    socket.once('error', (error) => {
      const code = systemErrorCode(error)
      answer(code !== 'ECONNREFUSED' && code !== 'ENOENT')
    })
  })
}
