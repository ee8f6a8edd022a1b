/**
 * Holds the contents of a layer's files, one after the other, in a temporary file. It is written
 * while the layer is unpacked, and read at any offset while the layer is packed. One write is under
 * way at a time. The next chunks are read meanwhile, and memory stays bounded.
 */
import { closeSync, openSync, readSync, rmSync, writev } from 'node:fs'
import { promisify } from 'node:util'
import type { ContentSink, RandomAccess } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'

const writevAsync = promisify(writev)
const BATCH_BYTES = 1024 * 1024
/** IOV_MAX of Linux. */
const MAX_VECTORS = 1024
/**
 * Small reads are served from a window of this size, because most archives are in the order in
 * which files are packed.
 */
const WINDOW_BYTES = 256 * 1024

export class SpoolFile implements ContentSink, RandomAccess {
  readonly #path: string
  readonly #fd: number
  #sizeBytes = 0
  #batch: Uint8Array[] = []
  #batchBytes = 0
  #writing: Promise<void> = Promise.resolve()
  #closed = false
  #window: Buffer | undefined
  /** The window holds the file's bytes from `#windowStart` to `#windowEnd`. */
  #windowStart = 0
  #windowEnd = 0
  /** Offset at which the last read ended. */
  #readEnd = 0

  private constructor(path: string, fd: number) {
    this.#path = path
    this.#fd = fd
  }

  /** Creates the file at `path`, which must not exist. The caller closes it. */
  static create(path: string): SpoolFile {
    return new SpoolFile(path, openSync(path, 'wx+', 0o600))
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  append(chunk: Uint8Array): void | Promise<void> {
    this.#batch.push(chunk)
    this.#batchBytes += chunk.length
    this.#sizeBytes += chunk.length
    if (this.#batchBytes < BATCH_BYTES && this.#batch.length < MAX_VECTORS) return
    return this.#startWrite()
  }

  /** When this resolves, everything appended can be read. Throws a failed write. */
  async flush(): Promise<void> {
    await this.#startWrite()
    await this.#writing
  }

  readSync(target: Uint8Array, offset: number): void {
    const end = offset + target.length
    const follows = offset >= this.#readEnd && offset - this.#readEnd < WINDOW_BYTES
    this.#readEnd = end
    const held = offset >= this.#windowStart && end <= this.#windowEnd
    // Do not fill the window for random reads. The next read would miss it.
    if (!held && (!follows || 2 * target.length > WINDOW_BYTES || end > this.#sizeBytes)) {
      this.#readAt(target, offset)
      return
    }
    this.#window ??= Buffer.allocUnsafeSlow(WINDOW_BYTES)
    if (!held) this.#fillWindow(this.#window, offset)
    const from = offset - this.#windowStart
    target.set(this.#window.subarray(from, from + target.length))
  }

  #fillWindow(window: Buffer, offset: number): void {
    this.#windowEnd = this.#windowStart = 0
    const length = Math.min(window.length, this.#sizeBytes - offset)
    this.#readAt(window.subarray(0, length), offset)
    this.#windowStart = offset
    this.#windowEnd = offset + length
  }

  #readAt(target: Uint8Array, offset: number): void {
    let done = 0
    while (done < target.length) {
      const count = readSync(this.#fd, target, done, target.length - done, offset + done)
      if (count === 0) {
        throw new SnapshotterError('internal', `${this.#path}: ends before byte ${offset + done}`)
      }
      done += count
    }
  }

  /** Deletes the file. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#writing.catch(() => undefined)
    closeSync(this.#fd)
    rmSync(this.#path, { force: true })
  }

  /** Waits for the previous write, then starts the next one. */
  async #startWrite(): Promise<void> {
    await this.#writing
    const batch = this.#batch
    if (batch.length === 0) return
    this.#batch = []
    this.#batchBytes = 0
    this.#writing = writeAll(this.#fd, batch)
    // The next call throws a failure of this write. Until then it must not count as unhandled.
    this.#writing.catch(() => undefined)
  }
}

async function writeAll(fd: number, batch: Uint8Array[]): Promise<void> {
  let rest = batch
  while (rest.length > 0) {
    let { bytesWritten } = await writevAsync(fd, rest)
    const next: Uint8Array[] = []
    for (const piece of rest) {
      if (bytesWritten < piece.length) next.push(piece.subarray(bytesWritten))
      bytesWritten = Math.max(0, bytesWritten - piece.length)
    }
    rest = next
  }
}
