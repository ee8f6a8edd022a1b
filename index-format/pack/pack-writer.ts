/**
 * Writes one pack: frames in the order in which they are added, then their table. A frame's place in
 * the pack's raw address space is known when it is added, its place in the file when it has been
 * compressed; how long that takes, and in which thread, leaves no trace in the file.
 */
import { createHash } from 'node:crypto'
import type { Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { MAX_FRAME_RAW_BYTES, MAX_FRAMES_PER_PACK, MAX_PACK_RAW_BYTES } from '../limits.js'
import type { FrameCompressor } from './frame-compressor.js'
import { tailFromFrames } from './pack-tail.js'
import type { Frame, PackTable } from './pack-table.js'

/** Where the bytes of one pack go. */
export interface PackSink {
  /** In order, one call at a time. `bytes` is the sink's to keep. */
  write(bytes: Uint8Array): Promise<void>
  /** All is written; `table` has the pack's digest. After this the pack is stored, durably. */
  finish(table: PackTable): Promise<void>
  /** Instead of `finish`: the pack will not be completed; nothing of it may remain. */
  abort(): Promise<void>
}

export interface PackWriterOptions {
  readonly sink: PackSink
  /** The caller's to close; several writers may share it, one at a time. */
  readonly compressor: FrameCompressor
  /** zstd level, 1 to 19. */
  readonly level: number
}

interface PendingFrame {
  readonly rawOffset: number
  readonly rawSizeBytes: number
  readonly digest: Digest
  readonly compressed: Promise<Uint8Array>
  /** Compressed, or failed. */
  isDone: boolean
}

/**
 * Frames that wait to be written, those in the compressor included: a thread that has done three small
 * ones goes on with the next while another is still at a large one that comes before them.
 */
const MAX_PENDING_RAW_BYTES = 16 * 1024 * 1024

export class PackWriter {
  readonly #options: PackWriterOptions
  readonly #hash = createHash('sha256')
  readonly #frames: Frame[] = []
  readonly #pending: PendingFrame[] = []
  /** What the compressor has in hand. Never rejects. */
  readonly #compressing = new Set<Promise<void>>()
  #pendingRawBytes = 0
  #rawSizeBytes = 0
  #sizeBytes = 0

  constructor(options: PackWriterOptions) {
    this.#options = options
  }

  /** Raw bytes added so far: where the next frame will stand. */
  get rawSizeBytes(): number {
    return this.#rawSizeBytes
  }

  /** Whether a frame of this many raw bytes may still be added. */
  fits(rawSizeBytes: number): boolean {
    const frames = this.#frames.length + this.#pending.length
    return this.#rawSizeBytes + rawSizeBytes <= MAX_PACK_RAW_BYTES && frames < MAX_FRAMES_PER_PACK
  }

  /**
   * Adds a frame of `raw`, whose digest the caller has, and gives its raw offset. Waits while the
   * compressor has enough to do; the memory of `raw` is the caller's again afterwards.
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

  /** Writes what is under way and the table. The pack needs one frame at least. */
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

  /** Gives the pack up, whatever state it is in. */
  async abort(): Promise<void> {
    await Promise.allSettled(this.#pending.map((frame) => frame.compressed))
    this.#pending.length = 0
    await this.#options.sink.abort()
  }

  #compress(raw: Uint8Array, place: { rawOffset: number; digest: Digest }): PendingFrame {
    const { compressor, level } = this.#options
    const compressed = compressor.compress(raw, level)
    const frame: PendingFrame = { ...place, rawSizeBytes: raw.length, compressed, isDone: false }
    // A rejection is met when the frame's turn comes; until then it must not count as unhandled.
    const done: Promise<void> = compressed.then(nothing, nothing).then(() => {
      frame.isDone = true
      this.#compressing.delete(done)
    })
    this.#compressing.add(done)
    return frame
  }

  /** Writes what can be written, and waits until the compressor takes another frame. */
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
