/**
 * Joins several starts of one command into one profile. A program whose threads race, or that
 * collects garbage, touches partly different pages of its large files at each start. If recorded
 * starts differ in a file, the next start will touch pages of it that none of them did. The profile
 * then names all pages of that file between the first one read and the last.
 */
import { mergedProfile } from './access-order.js'
import { pageStarts } from './page-starts.js'
import { PROFILE_PAGE_BYTES, type Profile } from './profile.js'

/** A file counts as read at random if at least this many pages were read in some starts only. */
const MIN_UNSTEADY_PAGES = 4
/** 32 MiB. Beyond this, fetching the rest of a file costs more than missing some pages of it. */
const MAX_UNSTEADY_FILE_PAGES = 8192

/**
 * Joins starts of the same command and tree, at most MAX_STARTS. The ranges of `first` keep their
 * order. Each further start adds the pages that no start before it read. The remaining pages of
 * files that are read at random come last. A single start keeps its pages and their order.
 */
export function repeatedStarts(first: Profile, ...others: readonly Profile[]): Profile {
  const starts = [first, ...others]
  const ranges = [...pageStarts(starts)].flatMap(([ino, startsOf]) => {
    const unsteady = [...startsOf.values()].filter((some) => some !== 2 ** starts.length - 1)
    const pages = [...startsOf.keys()].toSorted((a, b) => a - b)
    const [firstPage = 0] = pages
    const filePages = (pages.at(-1) ?? 0) + 1 - firstPage
    if (unsteady.length < MIN_UNSTEADY_PAGES || filePages > MAX_UNSTEADY_FILE_PAGES) return []
    const offset = firstPage * PROFILE_PAGE_BYTES
    return [{ ino, offset, length: filePages * PROFILE_PAGE_BYTES }]
  })
  return mergedProfile(first, ...others, { ...first, ranges })
}
