/**
 * A profile: the pages that a program read while it started, in the order of first access. Inode
 * numbers are those of the image's merged tree. They are the same in every index of that tree, so
 * that a profile stays valid when the image is published again with other packs.
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

/** Reads are rounded to this unit. The page size of every machine in use equals or divides it. */
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
  /** An index of the recorded tree. The profile is valid for any other index of that tree, too. */
  readonly index: Digest
  /** The commands that were run, as a person would type them. Informative. */
  readonly commands: readonly string[]
  /** In the order of first access; no page twice. */
  readonly ranges: readonly ProfileRange[]
  /**
   * Inode numbers of the directories in which a name was looked up or listed, ascending. Absent if
   * they were not recorded.
   */
  readonly directories?: readonly number[]
}

/** Commands of one profile. */
export const MAX_COMMANDS = 64
/** Bytes of one command. */
export const MAX_COMMAND_BYTES = 4096

/**
 * Parses a profile. Throws `invalid-profile` naming the JSON path, `unsupported-version`, or
 * `limit-exceeded` for more than MAX_PROFILE_BYTES.
 */
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

/** The JSON of a profile. The same profile gives the same bytes. */
export function bytesFromProfile(profile: Profile): Uint8Array {
  const { index, commands } = profile
  const ranges = profile.ranges.map(({ ino, offset, length }) => [ino, offset, length])
  const json = { version: 1, index, commands, ranges, ...jsonFromDirectories(profile) }
  return Buffer.from(`${JSON.stringify(json)}\n`)
}

/** Parses the member `directories` of a profile or a startup plan; empty if it is absent. */
export function directoriesFromJson(json: JsonCursor): Pick<Profile, 'directories'> {
  const member = json.member('directories')
  if (!member.present) return {}
  const inos = member.elements(0, MAX_PROFILE_DIRECTORIES).map((one) => one.integer(1, MAX_INO))
  return directoriesOf([{ directories: inos }])
}

/** The member that `directoriesFromJson` parses, in an object; empty if it is absent. */
export function jsonFromDirectories({ directories }: Pick<Profile, 'directories'>): object {
  return directories === undefined ? {} : { directories }
}

/**
 * The directories of all `profiles`, each once, ascending. Absent if one of the profiles names
 * none, because it is then unknown in which directories that start looks. Those beyond the first
 * MAX_PROFILE_DIRECTORIES are left out.
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
