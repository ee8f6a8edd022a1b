/**
 * The last step of writing an index. The header fields in which SQLite describes itself are set to
 * constants, so that the file's digest depends on the tree alone. Then the digest is computed.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, readSync, writeSync } from 'node:fs'
import type { Digest } from '../digest.js'

/** sqlite.org/fileformat2.html, "The Database Header": big-endian 32-bit fields. */
const CHANGE_COUNTER_AT = 24
const VERSION_VALID_FOR_AT = 92
const SQLITE_VERSION_AT = 96

/** The first version of SQLite with STRICT tables, which a reader needs. */
const SQLITE_VERSION = 3_037_000
const CHUNK_BYTES = 1024 * 1024

/** Normalises the header of the closed database at `path`. Returns the file's digest and size. */
export function sealIndex(path: string): { digest: Digest; sizeBytes: number } {
  const fd = openSync(path, 'r+')
  try {
    // The page count in the header is valid only if these two fields are equal.
    writeField(fd, CHANGE_COUNTER_AT, 1)
    writeField(fd, VERSION_VALID_FOR_AT, 1)
    writeField(fd, SQLITE_VERSION_AT, SQLITE_VERSION)
    const hash = createHash('sha256')
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
    let sizeBytes = 0
    for (;;) {
      const count = readSync(fd, chunk, 0, CHUNK_BYTES, sizeBytes)
      if (count === 0) return { digest: `sha256:${hash.digest('hex')}`, sizeBytes }
      hash.update(chunk.subarray(0, count))
      sizeBytes += count
    }
  } finally {
    closeSync(fd)
  }
}

function writeField(fd: number, at: number, value: number): void {
  const field = Buffer.alloc(4)
  field.writeUInt32BE(value)
  writeSync(fd, field, 0, 4, at)
}
