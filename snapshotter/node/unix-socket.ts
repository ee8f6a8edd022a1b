/**
 * A unix socket at a known path. The socket is made under a temporary name and renamed, so that no
 * client can connect before its mode is set. It never replaces a socket that a process listens on.
 */
import type { BigIntStats } from 'node:fs'
import { chmod, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'

/** `sun_path` of unix(7) has 108 bytes. The last one is zero. */
const MAX_PATH_BYTES = 107
/** The local kernel answers a connection attempt at once, so this is ample. */
const PROBE_TIMEOUT_MS = 2000

export interface UnixSocketOptions {
  /** Absolute path of the socket. Its directory is created where it is missing (mode 0711). */
  readonly path: string
  /** Permission bits. The socket never has others at `path`. */
  readonly mode: number
}

/** A socket file that this process has made. */
export class UnixSocket {
  readonly #path: string
  readonly #inode: bigint

  private constructor(path: string, inode: bigint) {
    this.#path = path
    this.#inode = inode
  }

  /**
   * Has `listen` bind a temporary path, then moves the socket to `options.path`. A socket on which
   * no process listens is replaced. Throws `failed-precondition` when a process listens on it or
   * the path is no socket, `invalid-argument` when the path has over 107 bytes. The caller closes
   * it.
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

  /** Removes the socket file, unless another file has taken its place. Idempotent. */
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

/** Whether a connection is accepted. No answer within 2 s counts as accepted. */
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
