/** Verifies the size and the digest of a stream of bytes while it is read. */
import { createHash } from 'node:crypto'
import type { Digest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'

/** The digest and the size that the bytes must have. */
export interface Expected {
  readonly digest: Digest
  readonly sizeBytes: number
}

/**
 * Yields `bytes` as they are. Throws `invalid-content` as soon as there are too many bytes, and at
 * the end if there are too few or their digest is another one. `where` begins the message: it names
 * the content and its origin. Errors of `bytes` itself pass unchanged.
 */
export async function* verifiedStream(
  bytes: AsyncIterable<Uint8Array>,
  expected: Expected,
  where: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { digest, sizeBytes } = expected
  const wanted = `expected ${sizeBytes} bytes with digest ${digest}`
  const hash = createHash('sha256')
  let total = 0
  for await (const piece of bytes) {
    total += piece.length
    if (total > sizeBytes) {
      throw new SnapshotterError('invalid-content', `${where}: ${wanted}, found more bytes`)
    }
    hash.update(piece)
    yield piece
  }
  const found = `sha256:${hash.digest('hex')}`
  if (found === digest && total === sizeBytes) return
  const message = `${where}: ${wanted}, found ${total} with digest ${found}`
  throw new SnapshotterError('invalid-content', message)
}
