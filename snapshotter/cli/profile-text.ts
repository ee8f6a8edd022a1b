/** A profile as text for people and JSON for scripts: its files in the order of first access. */
import { escapeBytes, type Index, pathsOf, type Profile } from '../../index-format/index.js'

/** One file of a profile. */
interface ProfileFile {
  readonly ino: number
  /** Absent without an index, and for an inode that the index does not have. */
  readonly path?: string
  readonly readBytes: number
  readonly sizeBytes?: number
  readonly ranges: readonly (readonly [offset: number, length: number])[]
}

export interface ShownProfile {
  readonly index: string
  readonly commands: readonly string[]
  readonly files: readonly ProfileFile[]
  /**
   * Inodes of the directories in which names were looked up. Absent where they were not recorded.
   */
  readonly directories?: readonly number[]
}

/** `index`: the tree's index, for paths and sizes. It stays open. */
export function shownProfile(profile: Profile, index: Index | undefined): ShownProfile {
  const byIno = new Map<number, [number, number][]>()
  for (const { ino, offset, length } of profile.ranges) {
    const ranges = byIno.get(ino) ?? []
    ranges.push([offset, length])
    byIno.set(ino, ranges)
  }
  const paths = index === undefined ? undefined : pathsOf(index, byIno.keys())
  const files = [...byIno].map(([ino, ranges]) => {
    const path = paths?.get(ino)
    const sizeBytes = index?.inode(ino)?.sizeBytes
    return {
      ino,
      ...(path !== undefined && { path: `/${escapeBytes(path)}` }),
      readBytes: ranges.reduce((sum, [, length]) => sum + length, 0),
      ...(sizeBytes !== undefined && { sizeBytes }),
      ranges,
    }
  })
  const { commands, directories } = profile
  return { index: profile.index, commands, files, ...(directories && { directories }) }
}

/** The profile as text for people. `withRanges` adds every range of every file. */
export function textOfProfile(
  { index, commands, files, directories = [] }: ShownProfile,
  withRanges: boolean,
): string {
  const total = files.reduce((sum, file) => sum + file.readBytes, 0)
  const count = files.reduce((sum, file) => sum + file.ranges.length, 0)
  const head = [
    `index     ${index}`,
    ...commands.map((command) => `command   ${command}`),
    `read      ${kib(total)} of ${files.length} files in ${count} ranges`,
    ...(directories.length > 0 ? [`looked    into ${directories.length} directories`] : []),
  ]
  const lines = files.flatMap(({ ino, path, readBytes, sizeBytes, ranges }) => {
    const share = sizeBytes === undefined ? '' : ` of ${kib(sizeBytes)}`
    const line = `${kib(readBytes).padStart(12)}${share.padEnd(16)}  ${path ?? `inode ${ino}`}`
    const more = ranges.map(([offset, length]) => `${' '.repeat(30)}${offset} +${length}`)
    return withRanges ? [line, ...more] : [line]
  })
  return `${[...head, ...lines].join('\n')}\n`
}

function kib(sizeBytes: number): string {
  return `${Math.ceil(sizeBytes / 1024)} KiB`
}
