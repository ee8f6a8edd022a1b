/**
 * The end of a pack file: a zstd skippable frame with the table of the pack's frames. `zstd -dc` of
 * the whole file still gives the content. FORMAT.md has the layout. All integers are little-endian,
 * like those of zstd.
 */
import { bytesFromDigest, type Digest, digestFromBytes } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import {
  MAX_FRAME_BYTES,
  MAX_FRAME_RAW_BYTES,
  MAX_FRAMES_PER_PACK,
  MAX_PACK_BYTES,
  MAX_PACK_RAW_BYTES,
} from '../limits.js'
import type { RandomAccess } from '../random-access.js'
import type { Frame, PackTable } from './pack-table.js'

/** One of zstd's sixteen skippable magics (RFC 8878, 3.1.2); the seekable format uses …5E. */
const SKIPPABLE_MAGIC = 0x184d2a54
const SKIPPABLE_HEADER_BYTES = 8
/** Compressed size, raw size, digest. */
const ROW_BYTES = 4 + 4 + 32
/** Frame count, version, magic. */
const FOOTER_BYTES = 4 + 4 + 8
const FOOTER_MAGIC = Buffer.from('THINPACK')
const PACK_VERSION = 1

/** The bytes of the table at the end of a pack file. */
export function tailFromFrames(frames: readonly Frame[]): Uint8Array {
  const contentBytes = frames.length * ROW_BYTES + FOOTER_BYTES
  const tail = Buffer.alloc(SKIPPABLE_HEADER_BYTES + contentBytes)
  let at = tail.writeUInt32LE(SKIPPABLE_MAGIC, 0)
  at = tail.writeUInt32LE(contentBytes, at)
  for (const frame of frames) {
    at = tail.writeUInt32LE(frame.sizeBytes, at)
    at = tail.writeUInt32LE(frame.rawSizeBytes, at)
    tail.set(bytesFromDigest(frame.digest), at)
    at += 32
  }
  at = tail.writeUInt32LE(frames.length, at)
  at = tail.writeUInt32LE(PACK_VERSION, at)
  tail.set(FOOTER_MAGIC, at)
  return tail
}

/** Bytes of the tail of a pack of this many frames. */
function tailBytesOf(frames: number): number {
  return SKIPPABLE_HEADER_BYTES + frames * ROW_BYTES + FOOTER_BYTES
}

/**
 * Reads the table at the end of a pack file. `digest` is the digest of the pack. It is put into the
 * table and not verified here. Throws `invalid-pack`, `unsupported-version` or `truncated`.
 */
export function readPackTable(pack: RandomAccess, digest: Digest): PackTable {
  const { sizeBytes } = pack
  if (sizeBytes > MAX_PACK_BYTES) {
    throw refused(`${sizeBytes} bytes, at most ${MAX_PACK_BYTES} are read`)
  }
  if (sizeBytes < tailBytesOf(1)) {
    throw new IndexFormatError('truncated', `pack: ${sizeBytes} bytes cannot hold a table`)
  }
  const frameCount = readFrameCount(pack)
  const tail = Buffer.alloc(tailBytesOf(frameCount))
  if (tail.length > sizeBytes) {
    const message = `pack: a table of ${frameCount} frames in a file of ${sizeBytes} bytes`
    throw new IndexFormatError('truncated', message)
  }
  pack.readSync(tail, sizeBytes - tail.length)
  const contentBytes = tail.length - SKIPPABLE_HEADER_BYTES
  if (tail.readUInt32LE(0) !== SKIPPABLE_MAGIC || tail.readUInt32LE(4) !== contentBytes) {
    throw refused(`no skippable frame of ${contentBytes} bytes before its table`)
  }
  return tableFromTail(tail, { digest, sizeBytes, frameCount })
}

function readFrameCount(pack: RandomAccess): number {
  const footer = Buffer.alloc(FOOTER_BYTES)
  pack.readSync(footer, pack.sizeBytes - FOOTER_BYTES)
  if (!footer.subarray(8).equals(FOOTER_MAGIC)) throw refused('does not end with "THINPACK"')
  const version = footer.readUInt32LE(4)
  if (version !== PACK_VERSION) {
    const message = `pack: version ${version}, this build reads ${PACK_VERSION}`
    throw new IndexFormatError('unsupported-version', message)
  }
  const frameCount = footer.readUInt32LE(0)
  if (frameCount < 1 || frameCount > MAX_FRAMES_PER_PACK) {
    throw refused(`${frameCount} frames, expected 1 to ${MAX_FRAMES_PER_PACK}`)
  }
  return frameCount
}

function tableFromTail(
  tail: Buffer,
  pack: { digest: Digest; sizeBytes: number; frameCount: number },
): PackTable {
  const frames: Frame[] = []
  let rawOffset = 0
  let offset = 0
  for (let count = 0; count < pack.frameCount; count++) {
    const at = SKIPPABLE_HEADER_BYTES + count * ROW_BYTES
    const sizeBytes = tail.readUInt32LE(at)
    const rawSizeBytes = tail.readUInt32LE(at + 4)
    if (sizeBytes < 1 || sizeBytes > MAX_FRAME_BYTES) {
      throw refused(`frame ${count} claims ${sizeBytes} bytes, expected 1 to ${MAX_FRAME_BYTES}`)
    }
    if (rawSizeBytes < 1 || rawSizeBytes > MAX_FRAME_RAW_BYTES) {
      const limit = `expected 1 to ${MAX_FRAME_RAW_BYTES}`
      throw refused(`frame ${count} claims ${rawSizeBytes} raw bytes, ${limit}`)
    }
    const digest = digestFromBytes(tail.subarray(at + 8, at + ROW_BYTES))
    frames.push({ rawOffset, rawSizeBytes, offset, sizeBytes, digest })
    rawOffset += rawSizeBytes
    offset += sizeBytes
  }
  if (rawOffset > MAX_PACK_RAW_BYTES) {
    throw refused(`${rawOffset} raw bytes, at most ${MAX_PACK_RAW_BYTES} are read`)
  }
  if (offset + tail.length !== pack.sizeBytes) {
    const found = pack.sizeBytes - tail.length
    throw refused(`its frames have ${offset} bytes, ${found} stand before the table`)
  }
  return { digest: pack.digest, sizeBytes: pack.sizeBytes, rawSizeBytes: rawOffset, frames }
}

function refused(complaint: string): IndexFormatError {
  return new IndexFormatError('invalid-pack', `pack: ${complaint}`)
}
