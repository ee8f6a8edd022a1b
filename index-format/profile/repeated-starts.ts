/**
 * Several starts of one command as one profile. A program whose threads race, or that collects
 * garbage, touches some other pages of its large files each time. Where several starts differ, one
 * more will touch pages that none of them did: of such a file everything is named that lies between
 * the first page and the last.
 */
import { mergedProfile } from './access-order.js'
import { pageStarts } from './page-starts.js'
import { PROFILE_PAGE_BYTES, type Profile } from './profile.js'

/** Pages that not all starts read, after which a file counts as one that is read at random. */
const MIN_UNSTEADY_PAGES = 4
/** Beyond 32 MiB the rest of a file costs more than the pages that would be missed. */
const MAX_UNSTEADY_FILE_PAGES = 8192

/**
 * All that these starts, of the same command and tree, read: the first keeps its order, further ones
 * add what those before did not read, and the rest of files that are read at random comes last. One
 * start stays as it is. MAX_STARTS at most.
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
