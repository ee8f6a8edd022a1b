/** Whole small bodies, never more of them than the caller is ready to hold. */

/** All bytes of `body`. Throws what `refused` makes as soon as there are more than `maxBytes`. */
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
