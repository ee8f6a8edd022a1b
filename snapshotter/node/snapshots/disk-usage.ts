/**
 * Measures a directory on disk as du(1) and containerd do: allocated blocks, every inode once. It
 * is asynchronous and has few calls under way, so that a large container does not block the daemon.
 */
import { lstat, readdir } from 'node:fs/promises'
import { systemErrorCode } from '../../../index-format/system-error.js'
import { SnapshotterError } from '../../errors.js'
import type { Usage } from './thin-layers.js'

/** stat(2): `st_blocks` counts units of 512 bytes. The filesystem's block size does not matter. */
const BLOCK_BYTES = 512
/** lstat calls under way at once. By default Node.js runs four of them in parallel. */
const CONCURRENCY = 16
const SLASH = Buffer.from('/')

/**
 * The usage of `directory` and everything below it. Containers may be running in it, so files that
 * disappear meanwhile are not counted. Throws `cancelled` when `signal` fires, and the filesystem's
 * errors.
 */
export async function diskUsageOf(directory: string, signal: AbortSignal): Promise<Usage> {
  const scan = new Scan(signal)
  await scan.add(Buffer.from(directory))
  for (let next = scan.directories.pop(); next !== undefined; next = scan.directories.pop()) {
    const parent = next
    const names = await existing(readdir(parent, { encoding: 'buffer' }))
    for (let start = 0; start < (names?.length ?? 0); start += CONCURRENCY) {
      const batch = names?.slice(start, start + CONCURRENCY) ?? []
      await Promise.all(batch.map((name) => scan.add(Buffer.concat([parent, SLASH, name]))))
    }
  }
  return { sizeBytes: scan.sizeBytes, inodes: scan.inodes }
}

class Scan {
  readonly directories: Buffer[] = []
  sizeBytes = 0
  inodes = 0
  readonly #signal: AbortSignal
  /** Inodes with several names that are already counted. */
  readonly #hardLinks = new Set<string>()

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  async add(path: Buffer): Promise<void> {
    if (this.#signal.aborted) {
      throw new SnapshotterError(
        'cancelled',
        `the usage of ${path.toString()} was not wanted to the end`,
        {
          cause: this.#signal.reason,
        },
      )
    }
    const stat = await existing(lstat(path, { bigint: true }))
    if (stat === undefined) return
    if (stat.isDirectory()) this.directories.push(path)
    else if (stat.nlink > 1n) {
      const inode = `${stat.dev.toString()}:${stat.ino.toString()}`
      if (this.#hardLinks.has(inode)) return
      this.#hardLinks.add(inode)
    }
    this.sizeBytes += Number(stat.blocks) * BLOCK_BYTES
    this.inodes += 1
  }
}

/** The result of `call`; undefined where the file no longer exists. */
async function existing<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined
    throw error
  }
}
