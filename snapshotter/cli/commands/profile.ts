/** `thinctl profile`: looks into recorded profiles, and makes one of several. */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import {
  bytesFromProfile,
  escapeBytes,
  type Index,
  mergedProfile,
  pathsOf,
  type Profile,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { CommandContext } from '../command-context.js'
import { readProfile } from '../profile-file.js'
import { writeOut } from '../standard-output.js'
import { addAccessOptions, type TreeOptions, withTree } from '../tree-options.js'

interface ShowOptions extends TreeOptions {
  readonly image?: string
  readonly ranges?: true
  readonly json?: true
}

/** One file of a profile, in the order of first access. */
interface ProfileFile {
  readonly ino: number
  /** Absent without an image, and for what the image does not have. */
  readonly path?: string
  readonly readBytes: number
  readonly sizeBytes?: number
  readonly ranges: readonly (readonly [offset: number, length: number])[]
}

export function addProfileCommand(program: Command, context: CommandContext): void {
  const profile = program.command('profile').description('what a start reads, as it was recorded')
  const show = profile
    .command('show')
    .description('files, sizes and ranges of a profile, in the order of first access')
    .argument('<file>', 'the profile')
    .option('--image <image>', 'a thin image of the same tree: shows paths instead of inodes')
    .option('--platform <os/arch>', 'which of the image; default: that of this machine')
    .option('--ranges', 'every range of every file')
    .option('--json', 'everything, for scripts')
  addAccessOptions(show).action(async (file: string, options: ShowOptions) => {
    const shown = await readProfile(file)
    const { image } = options
    const files =
      image === undefined
        ? filesOf(shown, undefined)
        : await withTree(image, options, context, ({ index }) =>
            Promise.resolve(filesOf(shown, index)),
          )
    const text =
      options.json === true
        ? `${JSON.stringify({ index: shown.index, commands: shown.commands, files }, null, 2)}\n`
        : textOf(shown, files, options.ranges === true)
    await writeOut([text], context.signal)
  })
  profile
    .command('merge')
    .description('one profile of several starts of the same image, the first in its order')
    .argument('<output>', 'the file to write')
    .argument('<files...>', 'the profiles')
    .action(async (output: string, files: string[]) => {
      const [first, ...others] = await Promise.all(files.map(readProfile))
      if (first === undefined) throw new SnapshotterError('invalid-argument', 'no profile is given')
      await writeFile(output, bytesFromProfile(mergedProfile(first, ...others)))
    })
}

function filesOf(profile: Profile, index: Index | undefined): ProfileFile[] {
  const byIno = new Map<number, [number, number][]>()
  for (const { ino, offset, length } of profile.ranges) {
    const ranges = byIno.get(ino) ?? []
    ranges.push([offset, length])
    byIno.set(ino, ranges)
  }
  const paths = index === undefined ? undefined : pathsOf(index, byIno.keys())
  return [...byIno].map(([ino, ranges]) => {
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
}

function textOf(profile: Profile, files: readonly ProfileFile[], withRanges: boolean): string {
  const total = files.reduce((sum, file) => sum + file.readBytes, 0)
  const head = [
    `index     ${profile.index}`,
    ...profile.commands.map((command) => `command   ${command}`),
    `read      ${kib(total)} of ${files.length} files in ${profile.ranges.length} ranges`,
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
