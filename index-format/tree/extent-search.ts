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

/**
 * The parts of `extents` that lie in a run of a file, cut to the run, in order. The first one is
 * found by binary search: a file may have 100,000 extents, and a plan as many runs.
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
