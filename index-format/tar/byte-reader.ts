/**
 * Reads a given number of bytes at a time from an async stream of chunks. Bytes that lie inside one
 * chunk are returned as a view of it, without a copy. `readSync` and `takeSync` need no promise.
 */
import { IndexFormatError } from '../errors.js'

const EMPTY = Buffer.alloc(0)

export class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array>
  #chunk: Buffer = EMPTY
  #at = 0
  #offset = 0
  #ended = false

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#iterator = source[Symbol.asyncIterator]()
  }

  /** Bytes handed out or skipped so far. */
  get offset(): number {
    return this.#offset
  }

  /** Exactly `count` bytes if they lie in the current chunk, else `undefined`: then call `read`. */
  readSync(count: number): Buffer | undefined {
    const end = this.#at + count
    if (end > this.#chunk.length) return undefined
    const bytes = this.#chunk.subarray(this.#at, end)
    this.#at = end
    this.#offset += count
    return bytes
  }

  /**
   * Exactly `count` bytes, or `undefined` when the stream ends before the first of them. Throws
   * `truncated` when it ends after some of them. `what` names the bytes in the message.
   */
  async read(count: number, what: string): Promise<Buffer | undefined> {
    const whole = this.readSync(count)
    if (whole !== undefined) return whole
    const bytes = Buffer.allocUnsafe(count)
    let filled = 0
    while (filled < count) {
      const part = this.takeSync(count - filled) ?? (await this.take(count - filled))
      if (part === undefined) {
        if (filled === 0) return undefined
        throw this.truncated(what)
      }
      part.copy(bytes, filled)
      filled += part.length
    }
    return bytes
  }

  /** 1 to `max` bytes of the current chunk, or `undefined` when none are left: then call `take`. */
  takeSync(max: number): Buffer | undefined {
    const left = this.#chunk.length - this.#at
    return left === 0 ? undefined : this.readSync(Math.min(left, max))
  }

  /** 1 to `max` bytes, as many as one chunk has; `undefined` at the end of the stream. */
  async take(max: number): Promise<Buffer | undefined> {
    while (this.#at === this.#chunk.length) {
      if (this.#ended) return undefined
      const next = await this.#iterator.next()
      if (next.done === true) {
        this.#ended = true
        this.#chunk = EMPTY
        this.#at = 0
        return undefined
      }
      const { buffer, byteOffset, byteLength } = next.value
      this.#chunk = Buffer.from(buffer, byteOffset, byteLength)
      this.#at = 0
    }
    return this.takeSync(max)
  }

  /** Skips `count` bytes. Returns how many of them the stream had. */
  async skip(count: number): Promise<number> {
    let left = count
    while (left > 0) {
      const part = this.takeSync(left) ?? (await this.take(left))
      if (part === undefined) break
      left -= part.length
    }
    return count - left
  }

  /** Reads the stream to its end, so that a hash computed upstream covers every byte. */
  async drain(): Promise<void> {
    while ((await this.take(Number.MAX_SAFE_INTEGER)) !== undefined);
  }

  /** Tells the source that nothing more will be read. */
  async close(): Promise<void> {
    if (this.#ended) return
    this.#ended = true
    await this.#iterator.return?.()
  }

  truncated(what: string): IndexFormatError {
    return new IndexFormatError(
      'truncated',
      `the archive ends at byte ${String(this.#offset)}, inside ${what}`,
    )
  }
}
