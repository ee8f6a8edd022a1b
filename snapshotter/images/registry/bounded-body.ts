/** Whole small bodies, never more of them than the caller is ready to hold. */
import { SnapshotterError } from '../../errors.js'

/** All bytes of `body`. Throws `invalid-content` as soon as there are more than `maxBytes`. */
export async function boundedBody(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  where: string,
): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let total = 0
  for await (const piece of body) {
    total += piece.length
    if (total > maxBytes) {
      throw new SnapshotterError(
        'invalid-content',
        `${where}: more than the ${String(maxBytes)} bytes that are allowed`,
      )
    }
    pieces.push(piece)
  }
  return Buffer.concat(pieces, total)
}
