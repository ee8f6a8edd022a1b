/**
 * Makes access order coarser: ranges that are read shortly after each other are sorted by inode and
 * offset. Neighbouring pages are then compressed together, and are one extent of the index and one
 * message to the kernel. No page arrives noticeably later.
 */
import { STARTUP_FRAME_RAW_BYTES } from '../limits.js'
import type { Profile, ProfileRange } from './profile.js'

/**
 * The same pages as in `profile`. Consecutive ranges that together fit into one frame of a startup
 * pack are sorted by inode and offset, and adjacent ones are joined.
 */
export function groupedProfile(profile: Pick<Profile, 'ranges'>): Pick<Profile, 'ranges'> {
  const ranges: ProfileRange[] = []
  let group: ProfileRange[] = []
  let groupBytes = 0
  for (const range of profile.ranges) {
    if (groupBytes + range.length > STARTUP_FRAME_RAW_BYTES) {
      ranges.push(...joined(group))
      group = []
      groupBytes = 0
    }
    group.push(range)
    groupBytes += range.length
  }
  ranges.push(...joined(group))
  return { ranges }
}

function joined(group: readonly ProfileRange[]): ProfileRange[] {
  const result: ProfileRange[] = []
  for (const range of group.toSorted((a, b) => a.ino - b.ino || a.offset - b.offset)) {
    const last = result.at(-1)
    if (last?.ino === range.ino && last.offset + last.length === range.offset) {
      result[result.length - 1] = { ...last, length: last.length + range.length }
    } else result.push(range)
  }
  return result
}
