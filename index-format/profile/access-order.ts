/** Reads as they come, turned into the ranges of a profile: rounded to pages, each page once. */
import { MAX_PROFILE_RANGES } from '../limits.js'
import { directoriesOf, PROFILE_PAGE_BYTES, type Profile, type ProfileRange } from './profile.js'

export class AccessOrder {
  readonly #ranges: ProfileRange[] = []
  /** Pages that are in a range already, by inode. */
  readonly #seen = new Map<number, Set<number>>()

  /** Adds a read of `length` bytes; pages that were read before are passed over. */
  add(ino: number, offset: number, length: number): void {
    const seen = this.#pagesOf(ino)
    const end = Math.ceil((offset + length) / PROFILE_PAGE_BYTES)
    for (let page = Math.floor(offset / PROFILE_PAGE_BYTES); page < end; page++) {
      if (seen.has(page)) continue
      // A profile over its bound keeps the beginning, which is what a start needs first.
      if (!this.#append(ino, page)) return
      seen.add(page)
    }
  }

  /** What was read so far. */
  ranges(): readonly ProfileRange[] {
    return [...this.#ranges]
  }

  #pagesOf(ino: number): Set<number> {
    const known = this.#seen.get(ino)
    if (known !== undefined) return known
    const pages = new Set<number>()
    this.#seen.set(ino, pages)
    return pages
  }

  #append(ino: number, page: number): boolean {
    const offset = page * PROFILE_PAGE_BYTES
    const last = this.#ranges.at(-1)
    if (last?.ino === ino && last.offset + last.length === offset) {
      const length = last.length + PROFILE_PAGE_BYTES
      this.#ranges[this.#ranges.length - 1] = { ino, offset: last.offset, length }
      return true
    }
    if (this.#ranges.length >= MAX_PROFILE_RANGES) return false
    this.#ranges.push({ ino, offset, length: PROFILE_PAGE_BYTES })
    return true
  }
}

/**
 * Profiles of different commands as a list: one of the same commands as an earlier one takes
 * its place, others follow.
 */
export function profilesByCommand(profiles: readonly Profile[]): Profile[] {
  const byCommand = new Map<string, Profile>()
  for (const profile of profiles) byCommand.set(JSON.stringify(profile.commands), profile)
  return [...byCommand.values()]
}

/**
 * One profile of several starts of the same tree: the first keeps its order, each further one adds
 * what those before it did not read.
 */
export function mergedProfile(first: Profile, ...others: readonly Profile[]): Profile {
  const order = new AccessOrder()
  const commands = new Set<string>()
  for (const profile of [first, ...others]) {
    for (const { ino, offset, length } of profile.ranges) order.add(ino, offset, length)
    for (const command of profile.commands) commands.add(command)
  }
  return {
    ...{ index: first.index, commands: [...commands], ranges: order.ranges() },
    ...directoriesOf([first, ...others]),
  }
}
