/** A blob of a local file or archive. */
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'
import { type Expected, verifiedStream } from './registry/verified-stream.js'

/**
 * Passes the verified `bytes` on. Throws `invalid-content` where they are not the expected ones,
 * `not-found` or `internal` where they cannot be read.
 */
export async function* localBlob(
  bytes: AsyncIterable<Uint8Array>,
  expected: Expected,
  from: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const where = `${expected.digest} of ${from}`
  try {
    yield* verifiedStream(bytes, expected, where)
  } catch (cause) {
    if (cause instanceof SnapshotterError) throw cause
    const isAbsent = systemErrorCode(cause) === 'ENOENT'
    throw new SnapshotterError(
      isAbsent ? 'not-found' : 'internal',
      `${where}: ${isAbsent ? 'there is no such blob' : 'cannot be read'}`,
      { cause },
    )
  }
}
