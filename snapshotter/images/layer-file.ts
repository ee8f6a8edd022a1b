/**
 * A file of an unpacked thin layer that its recipe names: bounded, no link followed, digest checked.
 *
 * Synchronous: containerd has written these few bytes a moment ago, and waits for the answer to its
 * Commit; each turn of libuv's thread pool takes longer than reading them.
 */
import { closeSync, constants, openSync, readSync } from 'node:fs'
import { digestOf, type LayerFileRef } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'

/** `path`: where the layer's file is. Throws `invalid-content` where it is another. */
export function readLayerFile(ref: LayerFileRef, path: string): Uint8Array {
  const file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  let bytes: Buffer
  try {
    // One byte more than there should be: a longer file is another.
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
