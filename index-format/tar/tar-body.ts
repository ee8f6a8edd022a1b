/**
 * The stored bytes of one tar member, as views of the source's chunks. They can be iterated once.
 * `readTar` skips the bytes left here before it reads the next header.
 */
import type { ByteReader } from './byte-reader.js'

export class TarBody implements AsyncIterable<Uint8Array> {
  readonly #reader: ByteReader
  readonly #where: string
  #left: number
  #taken = false

  constructor(reader: ByteReader, lengthBytes: number, where: string) {
    this.#reader = reader
    this.#left = lengthBytes
    this.#where = where
  }

  /** Bytes not yet handed out. */
  get leftBytes(): number {
    return this.#left
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    if (this.#taken) throw new Error('the body of a tar member can be read once')
    this.#taken = true
    return { next: () => this.#next() }
  }

  /** Skips the bytes not yet handed out. Throws `truncated` when the archive ends inside them. */
  async skip(): Promise<void> {
    const left = this.#left
    this.#left = 0
    if ((await this.#reader.skip(left)) < left) throw this.#reader.truncated(this.#where)
  }

  async #next(): Promise<IteratorResult<Uint8Array>> {
    if (this.#left === 0) return { done: true, value: undefined }
    const chunk = this.#reader.takeSync(this.#left) ?? (await this.#reader.take(this.#left))
    if (chunk === undefined) throw this.#reader.truncated(this.#where)
    this.#left -= chunk.length
    return { done: false, value: chunk }
  }
}
