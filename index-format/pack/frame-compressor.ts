/**
 * Where frames get compressed: in this thread, or in several. The result is the same; a writer puts
 * frames into their pack in the order in which it asked.
 */
import { FrameEncoder } from './frame-codec.js'

export interface FrameCompressor {
  /** How many frames a caller should have under way to keep it busy; at most that many are accepted. */
  readonly maxInFlight: number
  /**
   * Compresses one frame at zstd `level`. `raw` has been read when the call returns, before the
   * promise is settled: its memory is the caller's to use again.
   */
  compress(raw: Uint8Array, level: number): Promise<Uint8Array>
  /** Ends threads; what is under way is rejected. Idempotent. */
  close(): Promise<void>
}

/** Compresses in the calling thread, one frame at a time. */
export class InlineCompressor implements FrameCompressor {
  readonly maxInFlight = 1
  readonly #encoder = new FrameEncoder()

  compress(raw: Uint8Array, level: number): Promise<Uint8Array> {
    try {
      return Promise.resolve(this.#encoder.encode(raw, level))
    } catch (cause) {
      return Promise.reject(cause instanceof Error ? cause : new Error(String(cause)))
    }
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
