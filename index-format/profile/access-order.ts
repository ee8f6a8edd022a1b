/** Turns reads into the ranges of a profile: in order, rounded to pages, each page once. */
import { MAX_PROFILE_RANGES } from '../limits.js'
import { directoriesOf, PROFILE_PAGE_BYTES, type Profile, type ProfileRange } from './profile.js'

export class AccessOrder {
  readonly #ranges: ProfileRange[] = []
  /** Pages that are in a range already, by inode. */
  readonly #seen = new Map<number, Set<number>>()

  /**
   * Adds a read of `length` bytes at `offset`. Pages that are in a range already are skipped. Once
   * there are MAX_PROFILE_RANGES ranges, pages that need a new range are dropped.
   */
  add(ino: number, offset: number, length: number): void {
    const seen = this.#pagesOf(ino)
    const end = Math.ceil((offset + length) / PROFILE_PAGE_BYTES)
    for (let page = Math.floor(offset / PROFILE_PAGE_BYTES); page < end; page++) {
      if (seen.has(page)) continue
      // A full profile keeps its beginning, because a start needs that first.
      if (!this.#append(ino, page)) return
      seen.add(page)
    }
  }

  /** The ranges of all reads so far, in the order of first access. */
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
 * Keeps one profile for each list of commands. A later profile with the same commands replaces the
 * earlier one, at its position.
 */
export function profilesByCommand(profiles: readonly Profile[]): Profile[] {
  const byCommand = new Map<string, Profile>()
  for (const profile of profiles) byCommand.set(JSON.stringify(profile.commands), profile)
  return [...byCommand.values()]
}

/**
 * Joins several starts of the same tree into one profile with the index of `first`. The ranges of
 * `first` keep their order. Each further profile adds the pages that no profile before it read.
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
