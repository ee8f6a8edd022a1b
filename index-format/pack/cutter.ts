/**
 * Content-defined cutting: where a large file is cut into frames depends on the bytes around the
 * cut, so that an insertion moves the cuts near it and leaves the others, and two versions of a file
 * share most frames. A gear hash over the last 32 bytes, with a harder condition before the usual
 * size and an easier one after it (FastCDC, Xia et al., USENIX ATC 2016).
 */
import { createHash } from 'node:crypto'
import { MAX_CUT_BYTES, MIN_CUT_BYTES, NORMAL_CUT_BYTES } from '../limits.js'

/** Each step shifts the hash by one bit, so that a byte is forgotten after 32. */
const WINDOW_BYTES = 32
/** The hash's upper bits, which all of the window has reached: 22 of them, then 18. */
const HARD_MASK = 0xfffffc00 | 0
const EASY_MASK = 0xffffc000 | 0

export class Cutter {
  readonly #gear = gearTable()

  /**
   * The length of the first piece of `bytes.subarray(from, to)`: MIN_CUT_BYTES to MAX_CUT_BYTES, or
   * all of it when it has no more than MIN_CUT_BYTES. For the same answer wherever the bytes stand,
   * `to` is the end of the file or at least MAX_CUT_BYTES away.
   */
  cut(bytes: Uint8Array, from: number, to: number): number {
    const sizeBytes = Math.min(to - from, MAX_CUT_BYTES)
    if (sizeBytes <= MIN_CUT_BYTES) return sizeBytes
    // DataViews: V8 compiles these reads to plain loads, and they have no `undefined` in their type.
    const piece = new DataView(bytes.buffer, bytes.byteOffset + from, sizeBytes)
    const gear = this.#gear
    const normal = Math.min(NORMAL_CUT_BYTES, sizeBytes)
    let at = MIN_CUT_BYTES
    let hash = 0
    for (let before = at - WINDOW_BYTES; before < at; before++) {
      hash = ((hash << 1) + gear.getInt32(piece.getUint8(before) << 2, true)) | 0
    }
    for (; at < normal; at++) {
      if ((hash & HARD_MASK) === 0) return at
      hash = ((hash << 1) + gear.getInt32(piece.getUint8(at) << 2, true)) | 0
    }
    for (; at < sizeBytes; at++) {
      if ((hash & EASY_MASK) === 0) return at
      hash = ((hash << 1) + gear.getInt32(piece.getUint8(at) << 2, true)) | 0
    }
    return sizeBytes
  }
}

/**
 * 256 little-endian 32-bit integers. Entry i: the first four bytes of the SHA-256 of the ASCII text
 * "thin gear i", i in decimal.
 */
export function gearTable(): DataView {
  const table = new Uint8Array(256 * 4)
  for (let value = 0; value < 256; value++) {
    const digest = createHash('sha256').update(`thin gear ${value}`).digest()
    table.set(digest.subarray(0, 4), value * 4)
  }
  return new DataView(table.buffer)
}
