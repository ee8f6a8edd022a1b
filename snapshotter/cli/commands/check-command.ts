/**
 * `thinctl check`: verifies without an original. Prints every finding. Status 1 if there is one.
 */
import type { Command } from 'commander'
import { checkIndex } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { ImageAccess } from '../../inspect/image-access.js'
import { isIndexFile, openThinImages } from '../../inspect/opened-tree.js'
import { formatBytes } from '../../inspect/text-table.js'
import { checkImage } from '../../inspect/verify/check-image.js'
import { type CheckedStore, checkStore } from '../../inspect/verify/check-store.js'
import { folderOfStore, packsInFolder } from '../../inspect/verify/pack-opener.js'
import type { CommandContext } from '../command-context.js'
import { EXIT_FINDINGS } from '../exit-status.js'
import { writeOut } from '../standard-output.js'
import { type AccessOptions, addAccessOptions, storeUrls, withAccess } from '../tree-options.js'

interface CheckCommandOptions extends AccessOptions {
  readonly store?: string[]
  readonly platform?: string
  readonly packs: boolean
  readonly json?: true
}

/** The fields that the findings of all checks have. */
interface NamedFinding {
  readonly code: string
  readonly where: string
  readonly detail: string
}

/** Findings that `--json` lists. Further ones are only counted. */
const MAX_LISTED = 10_000

const DETAILS = `
Exit status: 0 no findings; 1 findings; 2 an image cannot be used; 3 a registry or a store cannot be
reached; 4 the system failed; 130 interrupted.`

export function addCheckCommand(program: Command, context: CommandContext): void {
  const command = program
    .command('check')
    .description('verify indexes and packs of a thin image, an index file, or a store folder')
    .argument('[image]', 'thin image, unpacked thin layer, or path of an index file')
    .option(
      '--store <dir|url>',
      'where packs are; without an image: the store folder to check',
      storeUrls,
    )
    .option('--platform <os/arch>', 'which of the image; default: all')
    .option('--no-packs', 'leave the packs out')
    .option('--json', 'the findings as one JSON object')
    .addHelpText('after', DETAILS)
  addAccessOptions(command).action((what: string | undefined, options: CheckCommandOptions) =>
    withAccess(options, context, async (access) => {
      const counted: CheckedStore = { packs: 0, indexes: 0, others: 0, sizeBytes: 0 }
      const findings =
        what === undefined
          ? checkStore(
              { ...storeToCheck(options), checked: counted, tempFolder: access.tempFolder },
              context.signal,
            )
          : checkNamed(what, options, access, context.signal)
      const checked = what === undefined ? counted : undefined
      const count = await (options.json === true ? tellJson : tellText)(findings, checked, context)
      if (count > 0) process.exitCode = EXIT_FINDINGS
    }),
  )
}

function storeToCheck(options: CheckCommandOptions): { folder: string } {
  const [url, second] = options.store ?? []
  if (url === undefined || second !== undefined) {
    const message = 'name an image, an index file, or one folder with --store'
    throw new SnapshotterError('invalid-argument', message)
  }
  const folder = folderOfStore(url)
  if (folder !== undefined) return { folder }
  throw new SnapshotterError(
    'invalid-argument',
    `--store ${url}: only a folder can be checked whole`,
  )
}

async function* checkNamed(
  what: string,
  options: CheckCommandOptions,
  access: ImageAccess,
  signal: AbortSignal,
): AsyncGenerator<NamedFinding> {
  const { packs, platform, store: stores } = options
  if (await isIndexFile(what)) {
    yield* checkIndexFile(what, options, signal)
    return
  }
  for await (const thin of openThinImages({ what, platform, stores }, { access }, signal)) {
    yield* checkImage({ thin, packs, tempFolder: access.tempFolder }, signal)
  }
}

async function* checkIndexFile(
  path: string,
  options: CheckCommandOptions,
  signal: AbortSignal,
): AsyncGenerator<NamedFinding> {
  const [store] = options.packs ? (options.store ?? []) : []
  if (store === undefined) {
    yield* checkIndex(path, { signal })
    return
  }
  const folder = folderOfStore(store)
  if (folder === undefined) {
    const message = `--store ${store}: the packs of an index file are looked for in a folder`
    throw new SnapshotterError('invalid-argument', message)
  }
  const files = packsInFolder(folder)
  try {
    yield* checkIndex(path, { openPack: (digest) => files.open(digest), signal })
  } finally {
    await files.close()
  }
}

/** Prints findings as they come. Returns their number. */
async function tellText(
  findings: AsyncIterable<NamedFinding>,
  checked: CheckedStore | undefined,
  context: CommandContext,
): Promise<number> {
  let count = 0
  const lines = async function* (): AsyncGenerator<string> {
    for await (const { code, detail, where } of findings) {
      count++
      yield `${code}: ${where}: ${detail}\n`
    }
    if (checked !== undefined) {
      const { indexes, others, packs, sizeBytes } = checked
      yield `${packs} packs, ${indexes} indexes, ${others} other blobs, ${formatBytes(sizeBytes)}\n`
    }
    yield count === 0 ? 'no findings\n' : `${count} findings\n`
  }
  await writeOut(lines(), context.signal)
  return count
}

async function tellJson(
  findings: AsyncIterable<NamedFinding>,
  checked: CheckedStore | undefined,
  context: CommandContext,
): Promise<number> {
  const counts: Record<string, number> = {}
  const listed: NamedFinding[] = []
  let count = 0
  for await (const finding of findings) {
    count++
    counts[finding.code] = (counts[finding.code] ?? 0) + 1
    if (listed.length < MAX_LISTED) listed.push(finding)
  }
  const report = { findings: listed, truncated: count > listed.length, count, counts, checked }
  await writeOut([`${JSON.stringify(report, null, 2)}\n`], context.signal)
  return count
}
