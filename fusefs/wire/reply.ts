/**
 * Encodes replies into one buffer that is reused, so that answering a LOOKUP or a READ allocates
 * nothing here. The layouts are from include/uapi/linux/fuse.h, protocol 7.45.
 */
import type { Attributes, Validity } from './attributes.js'
import type { Request } from './request.js'

/** `sizeof(struct fuse_out_header)`. */
export const OUT_HEADER_BYTES = 16
const ENTRY_BYTES = 128
const ATTR_BYTES = 88
const DIRENT_BYTES = 24
const S_IFMT = 0o170000
const TWO_32 = 2 ** 32

/** The answer to STATFS. */
export interface StatfsOut {
  readonly blocks: number
  readonly files: number
  readonly blockSizeBytes: number
  readonly nameLengthBytes: number
}

/** A directory entry to encode. */
export interface DirentOut {
  readonly name: Uint8Array
  readonly nodeId: number
  readonly mode: number
  /** The offset at which the listing continues after this entry. */
  readonly nextOffset: number
}

export class Reply {
  /** Header and payload. Pass its first `lengthBytes` bytes to write(2). */
  readonly buffer: Uint8Array
  readonly #view: DataView
  #length = OUT_HEADER_BYTES

  /** `payloadBytes`: size of the longest payload; 1 MiB where READ is answered. */
  constructor(payloadBytes: number) {
    this.buffer = new Uint8Array(OUT_HEADER_BYTES + payloadBytes)
    this.#view = new DataView(this.buffer.buffer)
  }

  get lengthBytes(): number {
    return this.#length
  }

  /** Payload bytes that still fit. */
  get room(): number {
    return this.buffer.length - this.#length
  }

  /** 0, or the negative errno in the header. */
  get error(): number {
    return this.#view.getInt32(4, true)
  }

  /** Begins an answer to `request`, empty and successful. */
  begin(request: Request): void {
    this.#view.setInt32(4, 0, true)
    this.#view.setUint32(8, request.uniqueLow, true)
    this.#view.setUint32(12, request.uniqueHigh, true)
    this.#setLength(OUT_HEADER_BYTES)
  }

  /** Drops the payload and answers `errno` (positive). */
  fail(errno: number): void {
    this.#view.setInt32(4, -errno, true)
    this.#setLength(OUT_HEADER_BYTES)
  }

  /**
   * Appends `lengthBytes` of payload and returns them for the caller to fill. They still hold old
   * bytes. Throws a `RangeError` when they do not fit, as all methods that append do.
   */
  reserve(lengthBytes: number): Uint8Array {
    const at = this.#length
    this.#setLength(at + lengthBytes)
    return this.buffer.subarray(at, at + lengthBytes)
  }

  bytes(payload: Uint8Array): void {
    this.reserve(payload.length).set(payload)
  }

  /** `struct fuse_entry_out`. */
  entry(attributes: Attributes, validity: Validity): void {
    const at = this.#length
    this.#setLength(at + ENTRY_BYTES)
    this.#entryAt(at, attributes, validity)
  }

  /** An entry with node id 0: the name does not exist. The kernel may cache that for `entrySec`. */
  negativeEntry(entrySec: number): void {
    const at = this.#length
    this.#setLength(at + ENTRY_BYTES)
    this.buffer.fill(0, at, at + ENTRY_BYTES)
    this.#setUint64(at + 16, entrySec)
  }

  /** `struct fuse_attr_out`. */
  attr(attributes: Attributes, attrSec: number): void {
    const at = this.#length
    this.#setLength(at + 16 + ATTR_BYTES)
    this.#setUint64(at, attrSec)
    this.#setUint64(at + 8, 0)
    this.#attrAt(at + 16, attributes)
  }

  /** `struct fuse_kstatfs`. The counts of free blocks and files are 0. */
  statfs(out: StatfsOut): void {
    const at = this.#length
    this.#setLength(at + 80)
    this.buffer.fill(0, at, at + 80)
    this.#setUint64(at, out.blocks)
    this.#setUint64(at + 24, out.files)
    this.#view.setUint32(at + 40, out.blockSizeBytes, true)
    this.#view.setUint32(at + 44, out.nameLengthBytes, true)
    this.#view.setUint32(at + 48, out.blockSizeBytes, true)
  }

  /** `struct fuse_getxattr_out`: the size in bytes of the answer, for a request with size 0. */
  xattrSize(sizeBytes: number): void {
    const at = this.#length
    this.#setLength(at + 8)
    this.#setUint64(at, sizeBytes)
  }

  /** `struct fuse_lseek_out`. */
  position(offset: number): void {
    const at = this.#length
    this.#setLength(at + 8)
    this.#setUint64(at, offset)
  }

  /** Appends a `struct fuse_dirent`. Returns false if the payload would exceed `limitBytes`. */
  dirent(out: DirentOut, limitBytes: number): boolean {
    const at = this.#length
    const end = at + direntBytes(out.name)
    if (end - OUT_HEADER_BYTES > limitBytes) return false
    this.#setLength(end)
    this.#direntAt(at, out, end)
    return true
  }

  /**
   * Appends a `struct fuse_direntplus`, with the result of `dirent`. Without attributes ("." and
   * "..") the entry carries node id 0, so that the kernel takes no reference.
   */
  direntPlus(
    out: DirentOut,
    attributes: Attributes | undefined,
    validity: Validity,
    limitBytes: number,
  ): boolean {
    const at = this.#length
    const end = at + ENTRY_BYTES + direntBytes(out.name)
    if (end - OUT_HEADER_BYTES > limitBytes) return false
    this.#setLength(end)
    if (attributes === undefined) this.buffer.fill(0, at, at + ENTRY_BYTES)
    else this.#entryAt(at, attributes, validity)
    this.#direntAt(at + ENTRY_BYTES, out, end)
    return true
  }

  #setLength(lengthBytes: number): void {
    if (lengthBytes > this.buffer.length) {
      throw new RangeError(`FUSE reply of ${lengthBytes} bytes, room for ${this.buffer.length}`)
    }
    this.#length = lengthBytes
    this.#view.setUint32(0, lengthBytes, true)
  }

  #entryAt(at: number, attributes: Attributes, validity: Validity): void {
    this.#setUint64(at, attributes.nodeId)
    this.#setUint64(at + 8, 0)
    this.#setUint64(at + 16, validity.entrySec)
    this.#setUint64(at + 24, validity.attrSec)
    this.#setUint64(at + 32, 0)
    this.#attrAt(at + 40, attributes)
  }

  #attrAt(at: number, attributes: Attributes): void {
    const view = this.#view
    this.#setUint64(at, attributes.nodeId)
    this.#setUint64(at + 8, attributes.sizeBytes)
    this.#setUint64(at + 16, attributes.blocks)
    // An image stores only the modification time. It is sent as atime, mtime and ctime.
    this.#setUint64(at + 24, attributes.mtimeSec)
    this.#setUint64(at + 32, attributes.mtimeSec)
    this.#setUint64(at + 40, attributes.mtimeSec)
    view.setUint32(at + 48, attributes.mtimeNsec, true)
    view.setUint32(at + 52, attributes.mtimeNsec, true)
    view.setUint32(at + 56, attributes.mtimeNsec, true)
    view.setUint32(at + 60, attributes.mode, true)
    view.setUint32(at + 64, attributes.nlink, true)
    view.setUint32(at + 68, attributes.uid, true)
    view.setUint32(at + 72, attributes.gid, true)
    view.setUint32(at + 76, attributes.rdev, true)
    view.setUint32(at + 80, 4096, true)
    view.setUint32(at + 84, 0, true)
  }

  #direntAt(at: number, out: DirentOut, end: number): void {
    this.#setUint64(at, out.nodeId)
    this.#setUint64(at + 8, out.nextOffset)
    this.#view.setUint32(at + 16, out.name.length, true)
    this.#view.setUint32(at + 20, (out.mode & S_IFMT) >>> 12, true)
    const nameEnd = at + DIRENT_BYTES + out.name.length
    this.buffer.set(out.name, at + DIRENT_BYTES)
    this.buffer.fill(0, nameEnd, end)
  }

  /** Writes the two halves in two's complement, so that times before 1970 are right, too. */
  #setUint64(at: number, value: number): void {
    this.#view.setUint32(at, value >>> 0, true)
    this.#view.setUint32(at + 4, Math.floor(value / TWO_32) >>> 0, true)
  }
}

function direntBytes(name: Uint8Array): number {
  return (DIRENT_BYTES + name.length + 7) & ~7
}
