/** Bytes that are known to be the right ones when they end without an error. */
import { createHash } from 'node:crypto'
import type { Digest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'

/** What the bytes must be. */
export interface Expected {
  readonly digest: Digest
  readonly sizeBytes: number
}

/**
 * Passes `bytes` on. Throws `invalid-content` as soon as there are too many, and at the end where
 * there are too few or where their digest is another one. `where` begins the message, and says what
 * they are and where they come from. Errors of `bytes` itself pass unchanged.
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
