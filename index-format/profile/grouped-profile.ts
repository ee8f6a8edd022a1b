/**
 * Access order, made coarser: what is read within a short while stands in order of file and place.
 * Neighbouring pages then compress together, are one extent of the index and one message to the
 * kernel, and nothing arrives noticeably later.
 */
import { STARTUP_FRAME_RAW_BYTES } from '../limits.js'
import type { Profile, ProfileRange } from './profile.js'

/** The same pages; runs of ranges that fit into one frame of the startup pack are sorted and joined. */
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
