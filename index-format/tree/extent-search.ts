/** Searches the extents of a file. They are ordered by offset and do not overlap. */
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

/**
 * The parts of `extents` that lie in a run of the file, in order. An extent that crosses an end of
 * the run is cut there. The first extent is found by binary search, because a file may have 100,000
 * extents and a plan may ask for as many runs.
 */
export function* extentsWithin(
  extents: readonly Extent[],
  offset: number,
  length: number,
): Generator<Extent> {
  const end = offset + length
  for (let at = firstExtentEndingAfter(extents, offset); at < extents.length; at++) {
    const extent = extents[at]
    if (extent === undefined || extent.offset >= end) return
    const from = Math.max(offset, extent.offset)
    const to = Math.min(end, extent.offset + extent.length)
    if (from >= to) continue
    const rawOffset = extent.rawOffset + from - extent.offset
    yield { offset: from, length: to - from, pack: extent.pack, rawOffset }
  }
}
