/** Reads a whole pack file that is available: for verification, inspection and the publisher. */
import { createHash } from 'node:crypto'
import type { Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import type { RandomAccess } from '../random-access.js'
import { decodeFrame } from './frame-codec.js'
import { readPackTable } from './pack-tail.js'
import type { PackTable } from './pack-table.js'

const CHUNK_BYTES = 1024 * 1024

export class PackReader {
  readonly table: PackTable
  readonly #pack: RandomAccess

  private constructor(pack: RandomAccess, table: PackTable) {
    this.#pack = pack
    this.table = table
  }

  /**
   * Reads the table at the end of the pack. The digest of the pack is `digest`; it is not verified
   * here. Throws `invalid-pack`, `unsupported-version` or `truncated`. The caller closes `pack`.
   */
  static open(pack: RandomAccess, digest: Digest): PackReader {
    return new PackReader(pack, readPackTable(pack, digest))
  }

  /** The bytes of frame number `at`, verified. Throws as `decodeFrame` does. */
  readFrame(at: number): Uint8Array {
    const frame = this.table.frames[at]
    if (frame === undefined) {
      const message = `pack ${this.table.digest}: no frame ${at} of ${this.table.frames.length}`
      throw new IndexFormatError('invalid-pack', message)
    }
    const compressed = Buffer.allocUnsafe(frame.sizeBytes)
    this.#pack.readSync(compressed, frame.offset)
    return decodeFrame(frame, compressed)
  }

  /** Reads the whole file. Throws `digest-mismatch` unless the file has the digest of the pack. */
  verifyDigest(): void {
    const found = digestOfAccess(this.#pack)
    if (found !== this.table.digest) {
      const message = `pack ${this.table.digest}: its content is ${found}`
      throw new IndexFormatError('digest-mismatch', message)
    }
  }
}

/** The digest of all bytes of `access`. */
function digestOfAccess(access: RandomAccess): Digest {
  const hash = createHash('sha256')
  const chunk = Buffer.allocUnsafe(Math.min(CHUNK_BYTES, access.sizeBytes))
  for (let at = 0; at < access.sizeBytes; at += chunk.length) {
    const piece = chunk.subarray(0, Math.min(chunk.length, access.sizeBytes - at))
    access.readSync(piece, at)
    hash.update(piece)
  }
  return `sha256:${hash.digest('hex')}`
}
