/**
 * Several starts of one tree, each with a profile of its own, laid out one after the other: what all
 * of them read first, then what fewer read. Nobody knows, when an image is pulled, which
 * of its programs will run.
 */
import { IndexFormatError } from '../errors.js'
import { MAX_STARTS } from '../limits.js'
import { AccessOrder } from './access-order.js'
import { groupedProfile } from './grouped-profile.js'
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

/** For each page the starts that read it. */
function pageStarts(profiles: readonly Profile[]): Map<number, Map<number, number>> {
  const startsOf = new Map<number, Map<number, number>>()
  for (const [at, { ranges }] of profiles.entries()) {
    for (const { ino, page } of pagesOf(ranges)) {
      const pages = startsOf.get(ino) ?? new Map<number, number>()
      startsOf.set(ino, pages)
      pages.set(page, (pages.get(page) ?? 0) | (1 << at))
    }
  }
  return startsOf
}

function* pagesOf(ranges: readonly ProfileRange[]): Generator<{ ino: number; page: number }> {
  for (const { ino, offset, length } of ranges) {
    const end = (offset + length) / PROFILE_PAGE_BYTES
    for (let page = offset / PROFILE_PAGE_BYTES; page < end; page++) yield { ino, page }
  }
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
