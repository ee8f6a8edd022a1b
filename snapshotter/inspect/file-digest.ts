/** The digest of a file on the disk, however large it is. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import type { Digest } from '../../index-format/index.js'

/** Throws the error of the system when the file cannot be read. */
export async function digestOfFile(path: string, signal: AbortSignal): Promise<Digest> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash, { signal })
  return `sha256:${hash.digest('hex')}`
}
