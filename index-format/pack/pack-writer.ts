/**
 * Writes one pack: frames in the order in which they are added, then their table. The raw offset of
 * a frame is known when it is added, its offset in the file when it has been compressed. The time
 * and the thread of compression do not change the file.
 */
import { createHash } from 'node:crypto'
import type { Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { MAX_FRAME_RAW_BYTES, MAX_FRAMES_PER_PACK, MAX_PACK_RAW_BYTES } from '../limits.js'
import type { FrameCompressor } from './frame-compressor.js'
import { tailFromFrames } from './pack-tail.js'
import type { Frame, PackTable } from './pack-table.js'

/** Takes the bytes of one pack. */
export interface PackSink {
  /** Appends `bytes`, which the sink may keep. One call at a time. */
  write(bytes: Uint8Array): Promise<void>
  /** Called after the last `write`; `table` has the digest. Resolves when the pack is durable. */
  finish(table: PackTable): Promise<void>
  /** Called instead of `finish` for a pack that is not completed. Nothing of it may remain. */
  abort(): Promise<void>
}

export interface PackWriterOptions {
  readonly sink: PackSink
  /** The caller closes it. Several writers may use it, one after the other. */
  readonly compressor: FrameCompressor
  /** zstd level, 1 to 19. */
  readonly level: number
}

interface PendingFrame {
  readonly rawOffset: number
  readonly rawSizeBytes: number
  readonly digest: Digest
  readonly compressed: Promise<Uint8Array>
  /** Whether compression has ended, with or without success. */
  isDone: boolean
}

/**
 * Raw bytes of frames that are not yet written, including those in the compressor. So a thread goes
 * on with further small frames while another thread compresses a large frame before them.
 */
const MAX_PENDING_RAW_BYTES = 16 * 1024 * 1024

export class PackWriter {
  readonly #options: PackWriterOptions
  readonly #hash = createHash('sha256')
  readonly #frames: Frame[] = []
  readonly #pending: PendingFrame[] = []
  /** One promise for each frame in the compressor. They never reject. */
  readonly #compressing = new Set<Promise<void>>()
  #pendingRawBytes = 0
  #rawSizeBytes = 0
  #sizeBytes = 0

  constructor(options: PackWriterOptions) {
    this.#options = options
  }

  /** Raw bytes added so far: the raw offset of the next frame. */
  get rawSizeBytes(): number {
    return this.#rawSizeBytes
  }

  /** Whether a frame of this many raw bytes may still be added. */
  fits(rawSizeBytes: number): boolean {
    const frames = this.#frames.length + this.#pending.length
    return this.#rawSizeBytes + rawSizeBytes <= MAX_PACK_RAW_BYTES && frames < MAX_FRAMES_PER_PACK
  }

  /**
   * Adds a frame of `raw`, whose digest is `digest`, and returns its raw offset. Waits while the
   * compressor is busy. Afterwards the caller may change `raw`. Throws `limit-exceeded` if the
   * frame does not fit.
   */
  async add(raw: Uint8Array, digest: Digest): Promise<number> {
    if (raw.length < 1 || raw.length > MAX_FRAME_RAW_BYTES || !this.fits(raw.length)) {
      const message = `pack: no room for a frame of ${raw.length} bytes at ${this.#rawSizeBytes}`
      throw new IndexFormatError('limit-exceeded', message)
    }
    await this.#makeRoom(raw.length)
    const rawOffset = this.#rawSizeBytes
    this.#rawSizeBytes += raw.length
    this.#pendingRawBytes += raw.length
    this.#pending.push(this.#compress(raw, { rawOffset, digest }))
    return rawOffset
  }

  /** Writes the remaining frames and the table. Throws `invalid-pack` if no frame was added. */
  async finish(): Promise<PackTable> {
    while (this.#pending.length > 0) await this.#writeOldest()
    if (this.#frames.length === 0) {
      throw new IndexFormatError('invalid-pack', 'pack: finished without a frame')
    }
    const tail = tailFromFrames(this.#frames)
    await this.#write(tail)
    const table: PackTable = {
      digest: `sha256:${this.#hash.digest('hex')}`,
      sizeBytes: this.#sizeBytes,
      rawSizeBytes: this.#rawSizeBytes,
      frames: this.#frames,
    }
    await this.#options.sink.finish(table)
    return table
  }

  /** Aborts the pack, in any state, after the compressor has finished its frames. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#pending.map((frame) => frame.compressed))
    this.#pending.length = 0
    await this.#options.sink.abort()
  }

  #compress(raw: Uint8Array, place: { rawOffset: number; digest: Digest }): PendingFrame {
    const { compressor, level } = this.#options
    const compressed = compressor.compress(raw, level)
    const frame: PendingFrame = { ...place, rawSizeBytes: raw.length, compressed, isDone: false }
    // `#writeOldest` passes a rejection on. Until then it must not count as unhandled.
    const done: Promise<void> = compressed.then(nothing, nothing).then(() => {
      frame.isDone = true
      this.#compressing.delete(done)
    })
    this.#compressing.add(done)
    return frame
  }

  /** Writes the frames that are ready, and waits until the compressor can take another frame. */
  async #makeRoom(rawSizeBytes: number): Promise<void> {
    const { maxInFlight } = this.#options.compressor
    for (;;) {
      const isTooMuch = this.#pendingRawBytes + rawSizeBytes > MAX_PENDING_RAW_BYTES
      if (this.#pending[0]?.isDone === true || (isTooMuch && this.#pending.length > 0)) {
        await this.#writeOldest()
      } else if (this.#compressing.size >= maxInFlight) {
        await Promise.race(this.#compressing)
      } else {
        return
      }
    }
  }

  async #writeOldest(): Promise<void> {
    const frame = this.#pending[0]
    if (frame === undefined) return
    const compressed = await frame.compressed
    this.#pending.shift()
    const { rawOffset, rawSizeBytes, digest } = frame
    this.#pendingRawBytes -= rawSizeBytes
    const offset = this.#sizeBytes
    this.#frames.push({ rawOffset, rawSizeBytes, offset, sizeBytes: compressed.length, digest })
    await this.#write(compressed)
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes)
    this.#sizeBytes += bytes.length
    await this.#options.sink.write(bytes)
  }
}

function nothing(): void {
  return undefined
}
