/**
 * A request of the kernel, read in place from a buffer that is used again and again. Every accessor
 * is bounded by the length that read(2) returned: a short or lying request throws `protocol` and
 * never reads bytes of the request before it.
 */
import { FusefsError } from '../errors.js'

/** `sizeof(struct fuse_in_header)`. */
export const IN_HEADER_BYTES = 40

/** The least buffer the kernel accepts is 8192 bytes (FUSE_MIN_READ_BUFFER); forgets come in batches. */
const REQUEST_BUFFER_BYTES = 65_536

const TWO_32 = 2 ** 32

export class Request {
  /** What read(2) fills. */
  readonly buffer: Uint8Array
  readonly #view: DataView
  #end = 0
  #cursor = 0

  constructor(sizeBytes = REQUEST_BUFFER_BYTES) {
    this.buffer = new Uint8Array(sizeBytes)
    this.#view = new DataView(this.buffer.buffer)
  }

  /** Begins with a new request of `lengthBytes` in the buffer. Throws `protocol` when it cannot be one. */
  load(lengthBytes: number): void {
    if (lengthBytes < IN_HEADER_BYTES || lengthBytes > this.buffer.length) {
      throw new FusefsError(
        'protocol',
        `FUSE request of ${lengthBytes} bytes: shorter than a header`,
      )
    }
    const stated = this.#view.getUint32(0, true)
    if (stated !== lengthBytes) {
      throw new FusefsError('protocol', `FUSE request states ${stated} bytes, read ${lengthBytes}`)
    }
    // Extensions (7.38: security context, groups) follow the body; nothing here asks for them.
    const extensionBytes = this.#view.getUint16(36, true) * 8
    if (extensionBytes > lengthBytes - IN_HEADER_BYTES) {
      throw new FusefsError('protocol', `FUSE request with ${extensionBytes} bytes of extensions`)
    }
    this.#end = lengthBytes - extensionBytes
    this.#cursor = IN_HEADER_BYTES
  }

  get opcode(): number {
    return this.#view.getUint32(4, true)
  }

  /** The request's number, to be repeated in the reply bit by bit: bit 63 marks a request sent again. */
  get uniqueLow(): number {
    return this.#view.getUint32(8, true)
  }

  get uniqueHigh(): number {
    return this.#view.getUint32(12, true)
  }

  /** The node's inode number inside its tree: the low half of the node id. */
  get ino(): number {
    return this.#view.getUint32(16, true)
  }

  /** The node's tree: the high half of the node id. */
  get slot(): number {
    return this.#view.getUint32(20, true)
  }

  /** The requesting thread, 0 when it is not visible to us. */
  get pid(): number {
    return this.#view.getUint32(32, true)
  }

  /** Bytes of the body that have not been read yet. */
  get remaining(): number {
    return this.#end - this.#cursor
  }

  readUint32(): number {
    const at = this.#advance(4)
    return this.#view.getUint32(at, true)
  }

  /** A 64-bit field that must be a safe integer: offsets and sizes. Throws `protocol` beyond. */
  readUint53(): number {
    const at = this.#advance(8)
    const value = this.#view.getUint32(at + 4, true) * TWO_32 + this.#view.getUint32(at, true)
    if (Number.isSafeInteger(value)) return value
    throw new FusefsError('protocol', `FUSE request with a number beyond 2^53: ${value}`)
  }

  readBigUint64(): bigint {
    const at = this.#advance(8)
    return this.#view.getBigUint64(at, true)
  }

  skip(lengthBytes: number): void {
    this.#advance(lengthBytes)
  }

  /** A name up to its NUL, as a view into the buffer: copy it to keep it. */
  readName(): Uint8Array {
    const start = this.#cursor
    const nul = this.buffer.indexOf(0, start)
    if (nul < 0 || nul >= this.#end) {
      throw new FusefsError('protocol', 'FUSE request with a name that has no end')
    }
    this.#cursor = nul + 1
    return this.buffer.subarray(start, nul)
  }

  #advance(lengthBytes: number): number {
    const at = this.#cursor
    if (lengthBytes > this.#end - at) {
      throw new FusefsError(
        'protocol',
        `FUSE request ${this.opcode}: body ends before byte ${at + lengthBytes - IN_HEADER_BYTES}`,
      )
    }
    this.#cursor = at + lengthBytes
    return at
  }
}
