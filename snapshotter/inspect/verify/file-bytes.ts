/** Reads bytes of the original's files at any offset. Holes read as zeros. */
import {
  type Extent,
  firstExtentEndingAfter,
  type RandomAccess,
} from '../../../index-format/index.js'

const CHUNK_BYTES = 1024 * 1024

/** Fills `target` with the bytes from `offset` on of the file with these extents. */
export function readFileBytes(
  content: RandomAccess,
  extents: readonly Extent[],
  target: Uint8Array,
  offset: number,
): void {
  target.fill(0)
  const end = offset + target.length
  for (let i = firstExtentEndingAfter(extents, offset); i < extents.length; i++) {
    const extent = extents[i]
    if (extent === undefined || extent.offset >= end) break
    const from = Math.max(extent.offset, offset)
    const to = Math.min(extent.offset + extent.length, end)
    const rawOffset = extent.rawOffset + (from - extent.offset)
    content.readSync(target.subarray(from - offset, to - offset), rawOffset)
  }
}

/**
 * The offset of the first nonzero byte of the file with `extents` that lies in a hole of the file
 * with `others`; undefined if there is none.
 */
export function firstByteInHoles(
  content: RandomAccess,
  extents: readonly Extent[],
  others: readonly Extent[],
): number | undefined {
  for (const extent of extents) {
    for (const hole of uncovered(extent.offset, extent.offset + extent.length, others)) {
      const chunk = new Uint8Array(Math.min(CHUNK_BYTES, hole.to - hole.from))
      for (let offset = hole.from; offset < hole.to; offset += chunk.length) {
        const part = chunk.subarray(0, Math.min(chunk.length, hole.to - offset))
        readFileBytes(content, [extent], part, offset)
        const at = part.findIndex((byte) => byte !== 0)
        if (at >= 0) return offset + at
      }
    }
  }
  return undefined
}

/** The parts of [from, to) that no extent covers. */
function* uncovered(
  from: number,
  to: number,
  extents: readonly Extent[],
): Generator<{ from: number; to: number }> {
  let at = from
  for (let i = firstExtentEndingAfter(extents, from); i < extents.length && at < to; i++) {
    const extent = extents[i]
    if (extent === undefined || extent.offset >= to) break
    if (extent.offset > at) yield { from: at, to: extent.offset }
    at = Math.max(at, extent.offset + extent.length)
  }
  if (at < to) yield { from: at, to }
}
