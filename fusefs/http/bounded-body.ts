/** Reads a small body into memory, up to a limit. */

/**
 * All bytes of `body`. Throws the error that `refused` returns as soon as there are more than
 * `maxBytes`. Errors of `body` pass unchanged.
 */
export async function boundedBody(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
  refused: () => Error,
): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  let total = 0
  for await (const piece of body) {
    total += piece.length
    if (total > maxBytes) throw refused()
    pieces.push(piece)
  }
  return Buffer.concat(pieces, total)
}
