/** Searches a file's extents, which are in order and do not overlap. */
import type { Extent } from './tree.js'

/** Index of the first extent that ends after `offset`; `extents.length` if there is none. */
export function firstExtentEndingAfter(extents: readonly Extent[], offset: number): number {
  let low = 0
  let high = extents.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const extent = extents[middle]
    if (extent !== undefined && extent.offset + extent.length <= offset) low = middle + 1
    else high = middle
  }
  return low
}

/** The parts of `extents` inside the `length` bytes of the file from `offset` on, in order. */
export function* extentsWithin(
  extents: readonly Extent[],
  offset: number,
  length: number,
): Generator<Extent> {
  for (const extent of extents) {
    const from = Math.max(offset, extent.offset)
    const to = Math.min(offset + length, extent.offset + extent.length)
    if (from >= to) continue
    const rawOffset = extent.rawOffset + from - extent.offset
    yield { offset: from, length: to - from, pack: extent.pack, rawOffset }
  }
}
