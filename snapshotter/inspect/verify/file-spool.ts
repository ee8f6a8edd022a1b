/**
 * Holds the content of an unpacked layer in a temporary file without a name. The kernel removes the
 * file when the process ends, however it ends.
 */
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import {
  type ContentSink,
  IndexFormatError,
  type RandomAccess,
} from '../../../index-format/index.js'

/** Bytes that are gathered before they are written. Most files are far smaller. */
const BUFFER_BYTES = 1024 * 1024

export class FileSpool implements ContentSink, RandomAccess {
  readonly #fd: number
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES)
  #buffered = 0
  #written = 0
  #closed = false

  private constructor(fd: number) {
    this.#fd = fd
  }

  /**
   * Creates the file at `path`, which must not exist, and removes its name at once. Throws the
   * system's error. The caller closes the spool.
   */
  static create(path: string): FileSpool {
    const fd = openSync(path, 'wx+', 0o600)
    unlinkSync(path)
    return new FileSpool(fd)
  }

  get sizeBytes(): number {
    return this.#written + this.#buffered
  }

  append(chunk: Uint8Array): void {
    if (chunk.length > BUFFER_BYTES - this.#buffered) this.#flush()
    if (chunk.length > BUFFER_BYTES) {
      this.#write(chunk)
      return
    }
    this.#buffer.set(chunk, this.#buffered)
    this.#buffered += chunk.length
  }

  readSync(target: Uint8Array, offset: number): void {
    this.#flush()
    for (let done = 0; done < target.length;) {
      const count = readSync(this.#fd, target, done, target.length - done, offset + done)
      if (count === 0) {
        const what = `read ${target.length} bytes at ${offset} of a spool of ${this.#written}`
        throw new IndexFormatError('truncated', what)
      }
      done += count
    }
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#fd)
  }

  #flush(): void {
    if (this.#buffered > 0) this.#write(this.#buffer.subarray(0, this.#buffered))
    this.#buffered = 0
  }

  #write(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const position = this.#written + done
      done += writeSync(this.#fd, bytes, done, bytes.length - done, position)
    }
    this.#written += bytes.length
  }
}
