/**
 * The seam between the tiers and the CPU work on a frame. It is asynchronous so that the work can
 * move to other threads without the tiers noticing.
 */
import { decodeFrame, digestOf, type Frame } from '../../index-format/index.js'

export interface FrameDecoder {
  /**
   * The frame's verified uncompressed bytes. Rejects with an `IndexFormatError` for any others.
   * `compressed` is the decoder's from now on.
   */
  decode(frame: Frame, compressed: Uint8Array): Promise<Uint8Array>
  /** Whether these are the frame's uncompressed bytes. */
  verify(frame: Frame, raw: Uint8Array): Promise<boolean>
}

/** Decodes in the calling thread. */
export const inlineFrameDecoder: FrameDecoder = {
  // An async function, so that what decodeFrame throws becomes a rejection.
  // oxlint-disable-next-line typescript/require-await
  async decode(frame, compressed) {
    return decodeFrame(frame, compressed)
  },
  verify(frame, raw) {
    return Promise.resolve(raw.length === frame.rawSizeBytes && digestOf(raw) === frame.digest)
  },
}
