/**
 * What a program read while it started, in the order in which it first read it. Inode numbers are
 * those of the image's merged tree, which are the same in every index of the same tree; so a
 * profile stays good when the image is published anew with other packs.
 */
import type { Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import {
  MAX_FILE_BYTES,
  MAX_INO,
  MAX_PROFILE_BYTES,
  MAX_PROFILE_DIRECTORIES,
  MAX_PROFILE_RANGES,
} from '../limits.js'
import { JsonCursor } from '../recipe/json-cursor.js'
import type { Tree } from '../tree/tree.js'

/** What reads are rounded to: a page of every machine this runs on divides it or equals it. */
export const PROFILE_PAGE_BYTES = 4096

/** A run of a file's pages. */
export interface ProfileRange {
  readonly ino: number
  /** Multiple of PROFILE_PAGE_BYTES. */
  readonly offset: number
  /** Multiple of PROFILE_PAGE_BYTES; may reach beyond the end of the file, up to the page's end. */
  readonly length: number
}

export interface Profile {
  /** An index of the tree that was recorded; any other index of that tree will do. */
  readonly index: Digest
  /** What was run, as a person would type it; informative. */
  readonly commands: readonly string[]
  /** In the order of first access; no page twice. */
  readonly ranges: readonly ProfileRange[]
  /** Inodes of the directories in which something was looked for, ascending. Absent where nobody recorded that. */
  readonly directories?: readonly number[]
}

/** Of one profile. */
export const MAX_COMMANDS = 64
export const MAX_COMMAND_BYTES = 4096

/** Parses a profile. Throws `invalid-profile` naming the JSON path, `unsupported-version`, `limit-exceeded`. */
export function profileFromBytes(bytes: Uint8Array): Profile {
  if (bytes.length > MAX_PROFILE_BYTES) {
    const message = `profile: ${bytes.length} bytes, at most ${MAX_PROFILE_BYTES} are read`
    throw new IndexFormatError('limit-exceeded', message)
  }
  const json = new JsonCursor(jsonFromBytes(bytes), '$', 'profile')
  const version = json.member('version').integer(0, Number.MAX_SAFE_INTEGER)
  if (version !== 1) {
    const message = `profile: $.version is ${version}, this build reads 1`
    throw new IndexFormatError('unsupported-version', message)
  }
  return {
    index: json.member('index').digest(),
    commands: json
      .member('commands')
      .elements(0, MAX_COMMANDS)
      .map((command) => command.text(MAX_COMMAND_BYTES)),
    ranges: json.member('ranges').elements(0, MAX_PROFILE_RANGES).map(rangeFromJson),
    ...directoriesFromJson(json),
  }
}

/** The same profile gives the same bytes. */
export function bytesFromProfile(profile: Profile): Uint8Array {
  const { index, commands } = profile
  const ranges = profile.ranges.map(({ ino, offset, length }) => [ino, offset, length])
  const json = { version: 1, index, commands, ranges, ...jsonFromDirectories(profile) }
  return Buffer.from(`${JSON.stringify(json)}\n`)
}

/** The member `directories` of a document that has `Profile`'s. */
export function directoriesFromJson(json: JsonCursor): Pick<Profile, 'directories'> {
  const member = json.member('directories')
  if (!member.present) return {}
  const inos = member.elements(0, MAX_PROFILE_DIRECTORIES).map((one) => one.integer(1, MAX_INO))
  return directoriesOf([{ directories: inos }])
}

/** What `directoriesFromJson` reads. */
export function jsonFromDirectories({ directories }: Pick<Profile, 'directories'>): object {
  return directories === undefined ? {} : { directories }
}

/**
 * The directories of all these profiles; absent where one of them names none: nobody knows then in
 * which directories that one looks. Those over the bound are left out.
 */
export function directoriesOf(
  profiles: readonly Pick<Profile, 'directories'>[],
): Pick<Profile, 'directories'> {
  if (profiles.some(({ directories = [] }) => directories.length === 0)) return {}
  const inos = new Set(profiles.flatMap(({ directories = [] }) => directories))
  const sorted = [...inos].sort((a, b) => a - b)
  return { directories: sorted.slice(0, MAX_PROFILE_DIRECTORIES) }
}

function rangeFromJson(json: JsonCursor): ProfileRange {
  const [ino, offset, length] = json.elements(3, 3)
  const pages = (cursor: JsonCursor | undefined, min: number): number => {
    const value = cursor?.integer(min, MAX_FILE_BYTES) ?? 0
    if (value % PROFILE_PAGE_BYTES === 0) return value
    throw json.refused(`a multiple of ${PROFILE_PAGE_BYTES}`)
  }
  return {
    ino: ino?.integer(1, MAX_INO) ?? 0,
    offset: pages(offset, 0),
    length: pages(length, PROFILE_PAGE_BYTES),
  }
}

function jsonFromBytes(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    const message = `profile: $ is not JSON in UTF-8: ${cause instanceof Error ? cause.message : ''}`
    throw new IndexFormatError('invalid-profile', message, { cause })
  }
}

/** Whether the tree has every byte range that the profile names. Otherwise it was recorded with another image. */
export function isProfileOf(tree: Pick<Tree, 'inode'>, profile: Profile): boolean {
  return profile.ranges.every(({ ino, offset }) => {
    const inode = tree.inode(ino)
    return inode !== undefined && offset < inode.sizeBytes
  })
}
