/** Reads a file on the disk at any offset. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { IndexFormatError, type RandomAccess } from '../../index-format/index.js'

export class FileAccess implements RandomAccess {
  readonly path: string
  readonly sizeBytes: number
  readonly #fd: number
  #closed = false

  private constructor(path: string, fd: number, sizeBytes: number) {
    this.path = path
    this.#fd = fd
    this.sizeBytes = sizeBytes
  }

  /** Throws the system's error. The caller closes it. */
  static open(path: string): FileAccess {
    const fd = openSync(path, 'r')
    try {
      return new FileAccess(path, fd, fstatSync(fd).size)
    } catch (error) {
      closeSync(fd)
      throw error
    }
  }

  readSync(target: Uint8Array, offset: number): void {
    for (let done = 0; done < target.length;) {
      const count = readSync(this.#fd, target, done, target.length - done, offset + done)
      if (count === 0) {
        const what = `read ${target.length} bytes at ${offset} of ${this.path}`
        throw new IndexFormatError('truncated', `${what}: it has ${this.sizeBytes}`)
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
}
