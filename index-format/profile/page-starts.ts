/** Finds the starts that read each page. */
import { PROFILE_PAGE_BYTES, type Profile, type ProfileRange } from './profile.js'

/**
 * The starts that read each page, by inode number and page number: bit i is set if `profiles[i]`
 * names the page. `profiles` has at most MAX_STARTS elements.
 */
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

/** Every page of `ranges`, in their order. `page` is the offset divided by PROFILE_PAGE_BYTES. */
export function* pagesOf(
  ranges: readonly ProfileRange[],
): Generator<{ ino: number; page: number }> {
  for (const { ino, offset, length } of ranges) {
    const end = (offset + length) / PROFILE_PAGE_BYTES
    for (let page = offset / PROFILE_PAGE_BYTES; page < end; page++) yield { ino, page }
  }
}
