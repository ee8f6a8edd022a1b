/** Complete reads and writes at a position of an open file, off the event loop. */
import { read, writev } from 'node:fs'
import { promisify } from 'node:util'

const readAsync = promisify(read)
const writevAsync = promisify(writev)

/** Fills `target` from `position`. False when the file ends first. Throws what read(2) throws. */
export async function readFully(
  fd: number,
  target: Uint8Array,
  position: number,
): Promise<boolean> {
  let filled = 0
  while (filled < target.length) {
    const rest = target.length - filled
    const { bytesRead } = await readAsync(fd, target, filled, rest, position + filled)
    if (bytesRead === 0) return false
    filled += bytesRead
  }
  return true
}

/** Writes the pieces one after the other from `position`. Throws what write(2) throws. */
export async function writeFully(
  fd: number,
  pieces: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let left: Uint8Array[] = [...pieces]
  let at = position
  while (left.length > 0) {
    const { bytesWritten } = await writevAsync(fd, left, at)
    at += bytesWritten
    left = withoutFirst(left, bytesWritten)
  }
}

function withoutFirst(pieces: readonly Uint8Array[], count: number): Uint8Array[] {
  const left: Uint8Array[] = []
  let skip = count
  for (const piece of pieces) {
    const from = Math.min(skip, piece.length)
    skip -= from
    if (from < piece.length) left.push(piece.subarray(from))
  }
  return left
}
