/** Verifies a stream of bytes against a descriptor while it is read. */
import { createHash } from 'node:crypto'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'
import type { Descriptor } from './registry/index.js'

/**
 * Passes `bytes` on. They are verified only when the stream has ended without an error. Throws
 * `invalid-content` at the end where size or digest are not the descriptor's, `not-found` where the
 * file is missing, `internal` where it cannot be read.
 */
export async function* verifiedStream(
  bytes: AsyncIterable<Uint8Array>,
  descriptor: Descriptor,
  from: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const hash = createHash('sha256')
  let total = 0
  for await (const piece of readable(bytes, descriptor, from)) {
    total += piece.length
    hash.update(piece)
    yield piece
  }
  const found = `sha256:${hash.digest('hex')}`
  if (found === descriptor.digest && total === descriptor.sizeBytes) return
  throw new SnapshotterError(
    'invalid-content',
    `${descriptor.digest} of ${from}: expected ${descriptor.sizeBytes} bytes with that digest, ` +
      `found ${total} with ${found}`,
  )
}

async function* readable(
  bytes: AsyncIterable<Uint8Array>,
  descriptor: Descriptor,
  from: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* bytes
  } catch (cause) {
    if (cause instanceof SnapshotterError) throw cause
    const absent = systemErrorCode(cause) === 'ENOENT'
    throw new SnapshotterError(
      absent ? 'not-found' : 'internal',
      `${descriptor.digest} of ${from}: ${absent ? 'there is no such blob' : 'cannot be read'}`,
      { cause },
    )
  }
}
