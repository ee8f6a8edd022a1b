/**
 * The `.state` file beside a pack's mirror says which frames the mirror holds. It is written under
 * a temporary name and then renamed. A checksum detects a file that is torn, changed or of another
 * pack.
 *
 * Layout, little-endian: magic (8 bytes), frame count u32, zero u32, raw size f64, present bytes
 * f64, last use in milliseconds since 1970 f64, mtime of the mirror in nanoseconds i64, inode
 * number of the mirror u64, one state byte per frame, SHA-256 of the mirror's id and all bytes
 * before.
 */
import { createHash } from 'node:crypto'
import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { FRAME_PRESENT } from '../mirror-view.js'
import { syncPath } from './sync-path.js'

export interface MirrorState {
  readonly rawSizeBytes: number
  /** Uncompressed bytes of the frames that are present. */
  readonly presentBytes: number
  readonly lastUsedMs: number
  /**
   * mtime and inode number of the mirror file when the state was saved. If the file has others now,
   * its frames are verified again. An mtime of 0 never matches.
   */
  readonly mtimeNs: bigint
  readonly ino: bigint
  /** 1 for a frame whose bytes are in the mirror, else 0. */
  readonly present: Uint8Array
}

const MAGIC = Buffer.from('THINMIR1', 'latin1')
const HEADER_BYTES = 56
const CHECKSUM_BYTES = 32

/** The bytes of a `.state` file. */
function bytesFromMirrorState(id: string, state: MirrorState): Uint8Array {
  const frameCount = state.present.length
  const bytes = Buffer.alloc(HEADER_BYTES + frameCount + CHECKSUM_BYTES)
  MAGIC.copy(bytes)
  bytes.writeUInt32LE(frameCount, 8)
  bytes.writeDoubleLE(state.rawSizeBytes, 16)
  bytes.writeDoubleLE(state.presentBytes, 24)
  bytes.writeDoubleLE(state.lastUsedMs, 32)
  bytes.writeBigInt64LE(state.mtimeNs, 40)
  bytes.writeBigUInt64LE(state.ino, 48)
  bytes.set(state.present, HEADER_BYTES)
  const end = HEADER_BYTES + frameCount
  checksumOf(id, bytes.subarray(0, end)).copy(bytes, end)
  return bytes
}

/** The state in these bytes; undefined when they are not a complete state of the mirror `id`. */
function mirrorStateFromBytes(id: string, bytes: Buffer): MirrorState | undefined {
  if (bytes.length < HEADER_BYTES + CHECKSUM_BYTES) return undefined
  const end = bytes.length - CHECKSUM_BYTES
  if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return undefined
  if (bytes.readUInt32LE(8) !== end - HEADER_BYTES) return undefined
  if (!checksumOf(id, bytes.subarray(0, end)).equals(bytes.subarray(end))) return undefined
  return {
    rawSizeBytes: bytes.readDoubleLE(16),
    presentBytes: bytes.readDoubleLE(24),
    lastUsedMs: bytes.readDoubleLE(32),
    mtimeNs: bytes.readBigInt64LE(40),
    ino: bytes.readBigUInt64LE(48),
    present: Uint8Array.from(bytes.subarray(HEADER_BYTES, end), (state) =>
      state === FRAME_PRESENT ? FRAME_PRESENT : 0,
    ),
  }
}

/** Reads a `.state` file; undefined when there is none, or none that is valid. */
export function readMirrorState(path: string, id: string): MirrorState | undefined {
  try {
    return mirrorStateFromBytes(id, readFileSync(path))
  } catch {
    return undefined
  }
}

/**
 * Replaces a `.state` file in one step. With `durable`, its bytes are on the disk before it is
 * renamed, and its name is on the disk when this returns. Throws the errors of open(2), write(2),
 * fsync(2) and rename(2).
 */
export function writeMirrorState(options: {
  path: string
  id: string
  state: MirrorState
  durable: boolean
}): void {
  const temporary = `${options.path}.tmp`
  const bytes = bytesFromMirrorState(options.id, options.state)
  const fd = openSync(temporary, 'w', 0o600)
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at)
    if (options.durable) fsyncSync(fd)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw error
  } finally {
    closeSync(fd)
  }
  renameSync(temporary, options.path)
  if (options.durable) syncPath(dirname(options.path))
}

function checksumOf(id: string, bytes: Uint8Array): Buffer {
  return createHash('sha256').update(id).update(bytes).digest()
}
