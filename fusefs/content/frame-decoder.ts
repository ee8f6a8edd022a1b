/**
 * The interface between the tiers and the CPU work on a frame. It is asynchronous, so that an
 * implementation can use other threads.
 */
import { decodeFrame, digestOf, type Frame } from '../../index-format/index.js'

export interface FrameDecoder {
  /**
   * The frame's verified uncompressed bytes. Rejects with an `IndexFormatError` when `compressed`
   * does not give the bytes with the frame's digest. The decoder takes over `compressed`: the
   * caller must not use it afterwards.
   */
  decode(frame: Frame, compressed: Uint8Array): Promise<Uint8Array>
  /** Whether `raw` has the size and the digest of the frame's uncompressed bytes. */
  verify(frame: Frame, raw: Uint8Array): Promise<boolean>
}

/** Decodes on the calling thread. */
export const inlineFrameDecoder: FrameDecoder = {
  // The function is async, so that an error of decodeFrame becomes a rejection.
  // oxlint-disable-next-line typescript/require-await
  async decode(frame, compressed) {
    return decodeFrame(frame, compressed)
  },
  verify(frame, raw) {
    return Promise.resolve(raw.length === frame.rawSizeBytes && digestOf(raw) === frame.digest)
  },
}
