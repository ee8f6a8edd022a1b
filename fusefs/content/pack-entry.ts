/** The content store's state of one pack, kept while reads, prefetches or writes use the pack. */
import { createHash } from 'node:crypto'
import {
  bytesFromDigest,
  digestFromBytes,
  type Frame,
  MAX_FRAME_BYTES,
  MAX_FRAME_RAW_BYTES,
  MAX_FRAMES_PER_PACK,
  type PackTable,
} from '../../index-format/index.js'
import { FusefsError } from '../errors.js'
import { mirrorIdOf } from './disk/cache-directory.js'

export interface PackEntry {
  /**
   * The id of pack and frame table together. So a tree with a wrong table for a pack cannot affect
   * the bytes that other trees read.
   */
  readonly id: string
  readonly table: PackTable
  /** Verified frames that are not on disk yet, by frame index. */
  readonly unwritten: Map<number, Uint8Array>
  /** Frames of an earlier process that are being verified, by frame index. */
  readonly checks: Map<number, Promise<Uint8Array | undefined>>
  /** Settles when `unwritten` is written; undefined when no write is under way. Never rejects. */
  writing: Promise<void> | undefined
  /** Number of reads, prefetches and read-aheads that use this entry. */
  users: number
}

/**
 * The id of a pack together with its table. Throws `invalid-argument` for a table that contradicts
 * itself or exceeds the limits of the format.
 */
export function packIdOf(table: PackTable): string {
  return mirrorIdOf(table.digest, digestFromBytes(tableDigest(table)))
}

export function createPackEntry(id: string, table: PackTable): PackEntry {
  return {
    id,
    table,
    unwritten: new Map(),
    checks: new Map(),
    writing: undefined,
    users: 0,
  }
}

/** The frame with this index. Throws `invalid-argument` when the pack has no such frame. */
export function frameOf(table: PackTable, frameIndex: number): Frame {
  const frame = table.frames[frameIndex]
  if (frame !== undefined) return frame
  const count = table.frames.length
  throw new FusefsError(
    'invalid-argument',
    `pack ${table.digest} has frames 0 to ${count - 1}, asked for ${frameIndex}`,
  )
}

function tableDigest(table: PackTable): Uint8Array {
  if (table.frames.length === 0 || table.frames.length > MAX_FRAMES_PER_PACK) {
    throw refused(table, `${table.frames.length} frames; 1 to ${MAX_FRAMES_PER_PACK} are allowed`)
  }
  const hash = createHash('sha256')
  let rawEnd = 0
  let end = 0
  for (const frame of table.frames) {
    const { rawOffset, rawSizeBytes, offset, sizeBytes, digest } = frame
    const isBounded =
      Number.isSafeInteger(rawOffset + rawSizeBytes) &&
      Number.isSafeInteger(offset + sizeBytes) &&
      rawSizeBytes > 0 &&
      rawSizeBytes <= MAX_FRAME_RAW_BYTES &&
      sizeBytes > 0 &&
      sizeBytes <= MAX_FRAME_BYTES
    if (!isBounded || rawOffset !== rawEnd || offset < end) {
      throw refused(table, `frame at ${rawOffset} is out of order or of an impossible size`)
    }
    rawEnd = rawOffset + rawSizeBytes
    end = offset + sizeBytes
    hash.update(`${rawSizeBytes} `).update(bytesFromDigest(digest))
  }
  if (rawEnd !== table.rawSizeBytes || end > table.sizeBytes) {
    throw refused(table, `its frames do not add up to the ${table.rawSizeBytes} bytes it claims`)
  }
  return hash.digest()
}

function refused(table: PackTable, reason: string): FusefsError {
  return new FusefsError('invalid-argument', `frame table of pack ${table.digest}: ${reason}`)
}
