/**
 * Compresses frames in the calling thread, or in several threads. The compressed bytes are the
 * same. A writer puts frames into their pack in the order in which it submitted them.
 */
import { FrameEncoder } from './frame-codec.js'

export interface FrameCompressor {
  /** Frames that a caller should have in compression to keep all threads busy. More are refused. */
  readonly maxInFlight: number
  /**
   * Compresses one frame at zstd `level`, 1 to 19. The call reads `raw` before it returns: the
   * caller may change `raw` before the promise settles. Rejects if the compressor is full, is
   * closed or fails.
   */
  compress(raw: Uint8Array, level: number): Promise<Uint8Array>
  /** Ends the threads, and rejects the promises of frames in compression. Idempotent. */
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
