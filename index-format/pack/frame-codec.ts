/**
 * Compresses and decompresses single zstd frames. Decompression writes into a buffer of exactly the
 * size that the pack's table claims, so that a frame cannot expand beyond it. The result is
 * returned only if it has the frame's digest.
 */
import zstd from 'zstd-napi/binding.js'
import { digestOf } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { MAX_FRAME_RAW_BYTES } from '../limits.js'
import type { Frame } from './pack-table.js'

/**
 * Decompresses `compressed`, the bytes of `frame` in its pack, and verifies them. Throws
 * `invalid-pack` when the bytes are not one zstd frame of the claimed sizes, `digest-mismatch` when
 * the content has another digest. The caller owns the result.
 */
export function decodeFrame(frame: Frame, compressed: Uint8Array): Uint8Array {
  const raw = decompressed(frame, compressed)
  const digest = digestOf(raw)
  if (digest !== frame.digest) {
    const message = `frame at ${frame.offset}: content is ${digest}, expected ${frame.digest}`
    throw new IndexFormatError('digest-mismatch', message)
  }
  return raw
}

function decompressed(frame: Frame, compressed: Uint8Array): Uint8Array {
  const { rawSizeBytes } = frame
  if (compressed.length !== frame.sizeBytes) {
    throw refused(frame, `${compressed.length} bytes given, it has ${frame.sizeBytes}`)
  }
  if (
    !Number.isSafeInteger(rawSizeBytes) ||
    rawSizeBytes < 1 ||
    rawSizeBytes > MAX_FRAME_RAW_BYTES
  ) {
    throw refused(
      frame,
      `claims ${rawSizeBytes} raw bytes, at most ${MAX_FRAME_RAW_BYTES} are read`,
    )
  }
  const target = Buffer.allocUnsafeSlow(rawSizeBytes)
  let written
  try {
    const headerBytes = zstd.getFrameContentSize(compressed)
    if (headerBytes !== rawSizeBytes) {
      throw refused(frame, `its header says ${headerBytes ?? 'no'} raw bytes, not ${rawSizeBytes}`)
    }
    const frameBytes = zstd.findFrameCompressedSize(compressed)
    if (frameBytes !== compressed.length) {
      throw refused(frame, `the zstd frame ends after ${frameBytes} of ${compressed.length} bytes`)
    }
    written = zstd.decompress(target, compressed)
  } catch (cause) {
    if (cause instanceof IndexFormatError) throw cause
    throw refused(frame, cause instanceof Error ? cause.message : 'not zstd', cause)
  }
  if (written !== rawSizeBytes) throw refused(frame, `it expands to ${written} bytes`)
  return target
}

function refused(frame: Frame, complaint: string, cause?: unknown): IndexFormatError {
  const message = `frame at ${frame.offset}: ${complaint}`
  return new IndexFormatError('invalid-pack', message, cause === undefined ? {} : { cause })
}

/** Higher levels of zstd need more memory to decompress. */
const MAX_LEVEL = 19

/**
 * Compresses frames, one after the other, in the calling thread. The output depends on input, level
 * and the zstd library alone, not on earlier frames.
 */
export class FrameEncoder {
  readonly #context = new zstd.CCtx()
  #level: number | undefined
  #scratch = Buffer.alloc(0)

  /**
   * Compresses `raw` at zstd `level`, 1 to 19. The caller owns the result. Throws `limit-exceeded`
   * for another level.
   */
  encode(raw: Uint8Array, level: number): Uint8Array {
    const bound = maxEncodedBytes(raw.length)
    if (this.#scratch.length < bound) this.#scratch = Buffer.allocUnsafeSlow(bound)
    const sizeBytes = this.encodeInto(this.#scratch, raw, level)
    return new Uint8Array(this.#scratch.subarray(0, sizeBytes))
  }

  /** As `encode`, into `target`, which has `maxEncodedBytes` of room. Returns the bytes written. */
  encodeInto(target: Uint8Array, raw: Uint8Array, level: number): number {
    if (this.#level !== level) {
      // zstd would silently replace an invalid level by another one.
      if (!Number.isInteger(level) || level < 1 || level > MAX_LEVEL) {
        const message = `compress frame: zstd level ${level}, expected 1 to ${MAX_LEVEL}`
        throw new IndexFormatError('limit-exceeded', message)
      }
      // contentSizeFlag: a reader checks the size before it decompresses. checksumFlag: the table's
      // SHA-256 says more than zstd's own 32 bits.
      this.#context.setParameter(zstd.CParameter.compressionLevel, level)
      this.#context.setParameter(zstd.CParameter.contentSizeFlag, 1)
      this.#context.setParameter(zstd.CParameter.checksumFlag, 0)
      this.#level = level
    }
    return this.#context.compress2(target, raw)
  }
}

/** The largest compressed size that `rawSizeBytes` bytes can have. */
export function maxEncodedBytes(rawSizeBytes: number): number {
  return zstd.compressBound(rawSizeBytes)
}
