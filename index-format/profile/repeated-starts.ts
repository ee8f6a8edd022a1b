/**
 * Several starts of one command as one profile. A program whose threads race, or that collects
 * garbage, touches some other pages of its large files each time. Where several starts differ, one
 * more will touch pages that none of them did: of such a file everything is named that lies between
 * the first page and the last.
 */
import { AccessOrder, mergedProfile } from './access-order.js'
import { PROFILE_PAGE_BYTES, type Profile } from './profile.js'

/** Pages that not all starts read, after which a file counts as one that is read at random. */
const MIN_UNSTEADY_PAGES = 4
/** Beyond 32 MiB the rest of a file costs more than the pages that would be missed. */
const MAX_UNSTEADY_FILE_PAGES = 8192

/**
 * All that `profiles`, of the same command and tree, read: the first keeps its order, further ones
 * add what those before did not read, and the rest of files that are read at random comes last. One
 * profile stays as it is.
 */
export function repeatedStarts(first: Profile, ...others: readonly Profile[]): Profile {
  const merged = mergedProfile(first, ...others)
  const order = new AccessOrder()
  for (const { ino, offset, length } of merged.ranges) order.add(ino, offset, length)
  for (const [ino, readBy] of readersOf([first, ...others])) {
    const counts = [...readBy.values()]
    const unsteady = counts.filter((count) => count <= others.length).length
    const pages = [...readBy.keys()]
    const firstPage = pages.reduce((a, b) => Math.min(a, b), Infinity)
    const filePages = pages.reduce((a, b) => Math.max(a, b), 0) + 1 - firstPage
    if (unsteady < MIN_UNSTEADY_PAGES || filePages > MAX_UNSTEADY_FILE_PAGES) continue
    order.add(ino, firstPage * PROFILE_PAGE_BYTES, filePages * PROFILE_PAGE_BYTES)
  }
  return { ...merged, ranges: order.ranges() }
}

/** For each file, in the order of first access: by how many of the starts each page was read. */
function readersOf(profiles: readonly Profile[]): Map<number, Map<number, number>> {
  const files = new Map<number, Map<number, number>>()
  for (const { ranges } of profiles) {
    for (const { ino, offset, length } of ranges) {
      const readBy = files.get(ino) ?? new Map<number, number>()
      files.set(ino, readBy)
      const end = (offset + length) / PROFILE_PAGE_BYTES
      for (let page = offset / PROFILE_PAGE_BYTES; page < end; page++) {
        readBy.set(page, (readBy.get(page) ?? 0) + 1)
      }
    }
  }
  return files
}
