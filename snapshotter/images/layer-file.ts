/**
 * Reads a file of an unpacked thin layer that the recipe names. The size is bounded, no link is
 * followed, and the digest is checked.
 *
 * Synchronous, because containerd wrote these few bytes a moment ago and waits for the answer to
 * its Commit. Each turn of libuv's thread pool takes longer than reading them.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { digestOf, type LayerFileRef } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'

/**
 * The bytes of the file at `path`. Throws `invalid-content` where their digest is not `ref.digest`,
 * and the filesystem's errors where the file cannot be read.
 */
export function readLayerFile(ref: LayerFileRef, path: string): Uint8Array {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  let bytes: Buffer
  try {
    // Reads one byte more than the file should have, so that a longer file has another digest.
    const buffer = Buffer.alloc(ref.sizeBytes + 1)
    bytes = buffer.subarray(0, readSync(file, buffer, 0, buffer.length, 0))
  } finally {
    closeSync(file)
  }
  const digest = digestOf(bytes)
  if (digest === ref.digest) return bytes
  const message = `${path}: is ${digest}, the recipe says ${ref.digest}`
  throw new SnapshotterError('invalid-content', message)
}
