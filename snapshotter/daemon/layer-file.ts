/** A file of an unpacked thin layer that its recipe names: bounded, no link followed, digest checked. */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { LayerFileRef } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'

/** `folder`: where the layer was unpacked. Throws `invalid-content` where the file is another. */
export async function readLayerFile(ref: LayerFileRef, folder: string): Promise<Uint8Array> {
  const path = join(folder, ref.file)
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  let bytes: Buffer
  try {
    const buffer = Buffer.alloc(ref.sizeBytes)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
    bytes = buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (digest === ref.digest) return bytes
  const message = `${path}: is ${digest}, the recipe says ${ref.digest}`
  throw new SnapshotterError('invalid-content', message)
}
