/**
 * Orders the pages of several starts of one tree, each with its own profile: first the pages that
 * all starts read, then pages that fewer starts read. When an image is pulled, it is not known
 * which of its programs will run.
 */
import { IndexFormatError } from '../errors.js'
import { MAX_STARTS } from '../limits.js'
import { AccessOrder } from './access-order.js'
import { groupedProfile } from './grouped-profile.js'
import { pagesOf, pageStarts } from './page-starts.js'
import { PROFILE_PAGE_BYTES, type Profile, type ProfileRange } from './profile.js'

/** A run of a file's pages that are all read by the same starts. */
export interface SharedRange extends ProfileRange {
  /** Bit i is set if start i reads the range. */
  readonly starts: number
}

/**
 * All pages of `profiles`, each once. Pages that more starts read come first; at equal numbers,
 * those of an earlier profile. Pages of the same starts are in order of access, grouped by
 * `groupedProfile`. Throws `limit-exceeded` for more than MAX_STARTS profiles.
 */
export function combinedRanges(profiles: readonly Profile[]): SharedRange[] {
  if (profiles.length > MAX_STARTS) {
    const message = `${profiles.length} profiles of one image, at most ${MAX_STARTS} are allowed`
    throw new IndexFormatError('limit-exceeded', message)
  }
  const startsOf = pageStarts(profiles)
  const orders = new Map<number, AccessOrder>()
  for (const { ranges } of profiles) {
    for (const { ino, page } of pagesOf(ranges)) {
      const starts = startsOf.get(ino)?.get(page) ?? 0
      const order = orders.get(starts) ?? new AccessOrder()
      orders.set(starts, order)
      order.add(ino, page * PROFILE_PAGE_BYTES, PROFILE_PAGE_BYTES)
    }
  }
  return [...orders]
    .sort(([a], [b]) => bitCount(b) - bitCount(a) || firstDifference(a, b))
    .flatMap(([starts, order]) => groupedRanges(order).map((range) => ({ ...range, starts })))
}

function groupedRanges(order: AccessOrder): readonly ProfileRange[] {
  return groupedProfile({ ranges: order.ranges() }).ranges
}

function bitCount(starts: number): number {
  let count = 0
  for (let left = starts; left !== 0; left &= left - 1) count++
  return count
}

/** Negative if set `a` comes first: it then has the lowest start that only one of the sets has. */
function firstDifference(a: number, b: number): number {
  const differing = a ^ b
  return (a & differing & -differing) === 0 ? 1 : -1
}
