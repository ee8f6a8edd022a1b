/** Which of several starts read which pages. */
import { PROFILE_PAGE_BYTES, type Profile, type ProfileRange } from './profile.js'

/** By inode, for each page: bit i is set where profile i names it. Of MAX_STARTS profiles at most. */
export function pageStarts(profiles: readonly Profile[]): Map<number, Map<number, number>> {
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

/** Every page, in the order of the ranges. */
export function* pagesOf(
  ranges: readonly ProfileRange[],
): Generator<{ ino: number; page: number }> {
  for (const { ino, offset, length } of ranges) {
    const end = (offset + length) / PROFILE_PAGE_BYTES
    for (let page = offset / PROFILE_PAGE_BYTES; page < end; page++) yield { ino, page }
  }
}
