/** How large frames become: the trade between bytes stored, bytes fetched for one file, and requests. */
import { MIN_CUT_BYTES, NORMAL_CUT_BYTES, SMALL_FRAME_RAW_BYTES } from '../limits.js'

export interface FrameSizes {
  /** Uncompressed bytes of a frame that small files share. */
  readonly smallFrameBytes: number
  /** Content-defined cutting of large files: no cut before; over 32. */
  readonly minCutBytes: number
  /** From here on the easier condition; at most MAX_CUT_BYTES. */
  readonly normalCutBytes: number
}

/** What the format says. Others make packs that every reader takes, but not the same packs. */
export const FORMAT_FRAME_SIZES: FrameSizes = {
  smallFrameBytes: SMALL_FRAME_RAW_BYTES,
  minCutBytes: MIN_CUT_BYTES,
  normalCutBytes: NORMAL_CUT_BYTES,
}
