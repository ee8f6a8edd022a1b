/**
 * Several starts of one tree, each with a profile of its own, laid out one after the other: what all
 * of them read first, then what fewer read. Nobody knows, when an image is pulled, which
 * of its programs will run.
 */
import { IndexFormatError } from '../errors.js'
import { MAX_STARTS } from '../limits.js'
import { AccessOrder } from './access-order.js'
import { groupedProfile } from './grouped-profile.js'
import { pagesOf, pageStarts } from './page-starts.js'
import { PROFILE_PAGE_BYTES, type Profile, type ProfileRange } from './profile.js'

/** A run of a file's pages that the same starts read. */
export interface SharedRange extends ProfileRange {
  /** Bit i is set where start i reads it. */
  readonly starts: number
}

/**
 * All pages of `profiles`, each once: pages of more starts before those of fewer, else those of an
 * earlier profile first, in its order. Throws `limit-exceeded` for more than MAX_STARTS profiles.
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

/** The set that has the earliest start that the other lacks comes first. */
function firstDifference(a: number, b: number): number {
  const differing = a ^ b
  return (a & differing & -differing) === 0 ? 1 : -1
}
