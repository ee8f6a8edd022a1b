/**
 * Content-defined cutting: where a large file is cut into frames depends on the bytes around the
 * cut, so that an insertion moves the cuts near it and leaves the others, and two versions of a file
 * share most frames. A gear hash over the last 32 bytes, with a harder condition before the usual
 * size and an easier one after it (FastCDC, Xia et al., USENIX ATC 2016).
 */
import { createHash } from 'node:crypto'
import { MAX_CUT_BYTES } from '../limits.js'
import { FORMAT_FRAME_SIZES, type FrameSizes } from './frame-sizes.js'

/** Each step shifts the hash by one bit, so that a byte is forgotten after 32. */
const WINDOW_BYTES = 32
/** The hash's upper bits, which all of the window has reached: 22 of them, then 18. */
const HARD_MASK = 0xfffffc00 | 0
const EASY_MASK = 0xffffc000 | 0

export class Cutter {
  readonly #gear = gearTable()
  readonly #sizes: FrameSizes

  /** Default: the sizes of the format. */
  constructor(sizes: FrameSizes = FORMAT_FRAME_SIZES) {
    this.#sizes = sizes
  }

  /**
   * The length of the first piece of `bytes.subarray(from, to)`: `minCutBytes` to MAX_CUT_BYTES, or
   * all of it when it has no more than `minCutBytes`. For the same answer wherever the bytes stand,
   * `to` is the end of the file or at least MAX_CUT_BYTES away.
   */
  cut(bytes: Uint8Array, from: number, to: number): number {
    const sizeBytes = Math.min(to - from, MAX_CUT_BYTES)
    const { minCutBytes, normalCutBytes } = this.#sizes
    if (sizeBytes <= minCutBytes) return sizeBytes
    const piece = bytes.subarray(from, from + sizeBytes)
    const normal = Math.min(normalCutBytes, sizeBytes)
    return (
      firstCut(piece, { from: minCutBytes, to: normal, mask: HARD_MASK }, this.#gear) ??
      firstCut(piece, { from: normal, to: sizeBytes, mask: EASY_MASK }, this.#gear) ??
      sizeBytes
    )
  }
}

/**
 * The first position from `from`, before `to`, where the hash of the bytes before it has no bit of
 * `mask`. Every byte of a large file but the first of each piece comes through here: four positions a
 * turn, over arrays that V8 reads without a check of their type, take half the time of a plain loop.
 */
function firstCut(
  piece: Uint8Array,
  { from, to, mask }: { from: number; to: number; mask: number },
  gear: Int32Array,
): number | undefined {
  let hash = 0
  for (let before = from - WINDOW_BYTES; before < from; before++) {
    hash = ((hash << 1) + (gear[piece[before] ?? 0] ?? 0)) | 0
  }
  let at = from
  for (; at + 4 <= to; at += 4) {
    if ((hash & mask) === 0) return at
    hash = ((hash << 1) + (gear[piece[at] ?? 0] ?? 0)) | 0
    if ((hash & mask) === 0) return at + 1
    hash = ((hash << 1) + (gear[piece[at + 1] ?? 0] ?? 0)) | 0
    if ((hash & mask) === 0) return at + 2
    hash = ((hash << 1) + (gear[piece[at + 2] ?? 0] ?? 0)) | 0
    if ((hash & mask) === 0) return at + 3
    hash = ((hash << 1) + (gear[piece[at + 3] ?? 0] ?? 0)) | 0
  }
  for (; at < to; at++) {
    if ((hash & mask) === 0) return at
    hash = ((hash << 1) + (gear[piece[at] ?? 0] ?? 0)) | 0
  }
  return undefined
}

/**
 * 256 32-bit integers. Entry i: the first four bytes, little-endian, of the SHA-256 of the ASCII text
 * "thin gear i", i in decimal.
 */
export function gearTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, value) =>
    createHash('sha256').update(`thin gear ${value}`).digest().readInt32LE(0),
  )
}
