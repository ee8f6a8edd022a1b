/** The sizes of frames. They trade bytes stored against bytes fetched for one file and requests. */
import { MIN_CUT_BYTES, NORMAL_CUT_BYTES, SMALL_FRAME_RAW_BYTES } from '../limits.js'

export interface FrameSizes {
  /** Uncompressed bytes of a frame that small files share. */
  readonly smallFrameBytes: number
  /** Content-defined cutting of large files: no piece is cut before this length. Over 32. */
  readonly minCutBytes: number
  /** From this length of a piece on, the easier cut condition applies. At most MAX_CUT_BYTES. */
  readonly normalCutBytes: number
}

/** The sizes of the format. Other sizes give other packs, which every reader accepts. */
export const FORMAT_FRAME_SIZES: FrameSizes = {
  smallFrameBytes: SMALL_FRAME_RAW_BYTES,
  minCutBytes: MIN_CUT_BYTES,
  normalCutBytes: NORMAL_CUT_BYTES,
}
