/**
 * A request from the kernel, decoded in place in a buffer that is reused. Every accessor is bounded
 * by the length that read(2) returned. A request that is too short or states a wrong length throws
 * `protocol`; bytes of an earlier request are never read.
 */
import { FusefsError } from '../errors.js'

/** `sizeof(struct fuse_in_header)`. */
export const IN_HEADER_BYTES = 40

/**
 * The kernel needs a buffer of at least 8192 bytes (FUSE_MIN_READ_BUFFER). A larger one takes more
 * forgets in one BATCH_FORGET.
 */
const REQUEST_BUFFER_BYTES = 65_536

const TWO_32 = 2 ** 32

export class Request {
  /** The buffer that read(2) fills. */
  readonly buffer: Uint8Array
  readonly #view: DataView
  #end = 0
  #cursor = 0

  constructor(sizeBytes = REQUEST_BUFFER_BYTES) {
    this.buffer = new Uint8Array(sizeBytes)
    this.#view = new DataView(this.buffer.buffer)
  }

  /** Starts a new request of `lengthBytes` in `buffer`. Throws `protocol` for impossible sizes. */
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
    // Extensions (since 7.38: security context, groups) follow the body. INIT does not ask for
    // them; if there are some, they are skipped.
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

  /**
   * Low half of the request's number. The reply must repeat all 64 bits, also bit 63, which marks a
   * request that was sent again.
   */
  get uniqueLow(): number {
    return this.#view.getUint32(8, true)
  }

  /** High half of the request's number. */
  get uniqueHigh(): number {
    return this.#view.getUint32(12, true)
  }

  /** The node's inode number in its tree: the low half of the node id. */
  get ino(): number {
    return this.#view.getUint32(16, true)
  }

  /** The slot of the node's tree: the high half of the node id. */
  get slot(): number {
    return this.#view.getUint32(20, true)
  }

  /** Id of the thread that made the request; 0 when it is not visible to this process. */
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

  /** Reads a 64-bit field that must be a safe integer. Throws `protocol` for larger values. */
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

  /** Reads a name up to its NUL. Returns a view into the buffer: copy it to keep it. */
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
