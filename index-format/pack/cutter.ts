/**
 * Content-defined cutting of large files into frames. The bytes before a cut determine its place.
 * So an insertion moves only the cuts near it, and two versions of a file share most frames. A gear
 * hash over the last 32 bytes has to meet a condition: a harder one before the normal size of a
 * piece, an easier one after it (FastCDC, Xia et al., USENIX ATC 2016).
 */
import { createHash } from 'node:crypto'
import { MAX_CUT_BYTES } from '../limits.js'
import { FORMAT_FRAME_SIZES, type FrameSizes } from './frame-sizes.js'

/** Each step shifts the 32-bit hash by one bit, so that a byte has no effect after 32 steps. */
const WINDOW_BYTES = 32
/** The upper 22 and the upper 18 bits of the hash: they depend on more bytes than lower bits do. */
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
   * all bytes if there are no more than `minCutBytes`. `to` must be the end of the file or at least
   * MAX_CUT_BYTES after `from`. Otherwise the result depends on the buffering of the file.
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
 * The first position from `from` on, and before `to`, where the hash of the bytes before it has no
 * bit of `mask`; `undefined` if there is none. All bytes of a large file except the first ones of
 * each piece are hashed here. Four positions in each turn of the loop, over arrays that V8 reads
 * without a type check, take half the time of a plain loop.
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
 * 256 32-bit integers. Entry i is the first four bytes, little-endian, of the SHA-256 of the ASCII
 * text "thin gear i", with i in decimal.
 */
export function gearTable(): Int32Array {
  return Int32Array.from({ length: 256 }, (_, value) =>
    createHash('sha256').update(`thin gear ${value}`).digest().readInt32LE(0),
  )
}
