/** A file of an unpacked thin layer that its recipe names: bounded, no link followed, digest checked. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { digestOf, type LayerFileRef } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'

/** `path`: where the layer's file is. Throws `invalid-content` where it is another. */
export async function readLayerFile(ref: LayerFileRef, path: string): Promise<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  let bytes: Buffer
  try {
    // One byte more than there should be: a longer file is another.
    const buffer = Buffer.alloc(ref.sizeBytes + 1)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
    bytes = buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
  const digest = digestOf(bytes)
  if (digest === ref.digest) return bytes
  const message = `${path}: is ${digest}, the recipe says ${ref.digest}`
  throw new SnapshotterError('invalid-content', message)
}
