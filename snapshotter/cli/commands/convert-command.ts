/** `thinctl convert`: makes a thin image from an ordinary one. */
import { tmpdir } from 'node:os'
import type { Command } from 'commander'
import { type ConvertResult, DEFAULT_LEVEL, convertImage } from '../../publish/convert/index.js'
import { formatPlatform, parsePlatform } from '../../images/registry/index.js'
import type { CommandContext } from '../command-context.js'
import { readProfile } from '../profile-file.js'
import { openRegistryConnection } from '../registry-access.js'
import { statePath } from '../state-path.js'
import { terminalProgress } from '../terminal-progress.js'
import { collected, wholeNumberBetween } from '../option-values.js'
import { mebibytes } from '../byte-count.js'

interface Options {
  readonly platform: readonly string[]
  readonly store?: string
  readonly storeUrl?: string
  readonly level: number
  readonly profile: readonly string[]
  readonly guess: boolean
  readonly database?: string
  readonly temp: string
  readonly reuse: boolean
  readonly threads?: number
  readonly plainHttp: boolean
  readonly json: boolean
}

const DETAILS = `
SOURCE       [docker://]REFERENCE, oci:DIR[:TAG], oci-archive:FILE[:TAG], docker-archive:FILE[:NAME],
             or a path that begins with / or .
DESTINATION  [docker://]REFERENCE, oci:DIR[:TAG], oci-archive:FILE[:NAME], or a path that begins with
             / or . (one that ends in .tar is an archive for "ctr images import")

Content goes where the image goes, unless --store names a folder or a registry's repository
(oci+https://host/repository); an archive needs one.

Exit status: 0 done; 2 the command line, the source or what it holds cannot be used; 3 a registry
cannot be reached or refuses; 4 the system failed; 130 interrupted.`

export function addConvertCommand(program: Command, context: CommandContext): void {
  program
    .command('convert')
    .description('make a thin image of an ordinary one')
    .argument('<source>', 'the image to convert')
    .argument('<destination>', 'where the thin image goes')
    .option('--platform <os/arch>', 'this platform only (again for more)', collected, [])
    .option('--store <dir|url>', 'where the content goes')
    .option('--store-url <url>', 'where nodes read the content, if not where it is written to')
    .option('--level <n>', 'zstd level, 1 to 19', wholeNumberBetween(1, 19), DEFAULT_LEVEL)
    .option(
      '--profile <file>',
      'what a start reads, recorded before (again for more)',
      collected,
      [],
    )
    .option('--no-guess', 'without a profile: do not guess what a start reads')
    .option('--threads <n>', 'threads that compress', wholeNumberBetween(1, 256))
    .option('--database <file>', "the publisher's memory of what is stored")
    .option('--no-reuse', 'store everything anew, whatever is known')
    .option('--temp <dir>', 'folder for temporary files', tmpdir())
    .option('--plain-http', 'speak HTTP without TLS to every registry', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText('after', DETAILS)
    .action(async (source: string, destination: string, options: Options) => {
      await convert(source, destination, options, context)
    })
}

async function convert(
  source: string,
  destination: string,
  options: Options,
  { signal }: CommandContext,
): Promise<void> {
  const platforms = options.platform.map(parsePlatform)
  const profiles = await Promise.all(options.profile.map(readProfile))
  const connection = openRegistryConnection(options)
  const progress = terminalProgress()
  try {
    const { store, storeUrl, threads, level, reuse } = options
    const result = await convertImage(
      {
        ...{ source, destination, platforms, profiles, guess: options.guess, level, reuse },
        ...(store === undefined ? {} : { store }),
        ...(storeUrl === undefined ? {} : { storeUrl }),
        ...(threads === undefined ? {} : { threads }),
        database: options.database ?? statePath('publish.db', process.env),
        tempFolder: options.temp,
      },
      { progress, connection },
      signal,
    )
    progress.stop()
    process.stdout.write(options.json ? `${JSON.stringify(result, null, 2)}\n` : summaryOf(result))
  } finally {
    progress.stop()
    await connection.close()
  }
}

function summaryOf(result: ConvertResult): string {
  const lines = result.platforms.map((one) => {
    const reused = one.layers.filter((layer) => layer.reused).length
    const ratio = ((100 * one.contentBytes) / Math.max(one.originalBytes, 1)).toFixed(0)
    return (
      `${formatPlatform(one.platform)}: ${one.digest}\n` +
      `  ${one.layers.length} layers (${reused} known), ${mebibytes(one.originalBytes)} compressed; ` +
      `content ${mebibytes(one.contentBytes)} (${ratio} %) in ${one.packs} packs; ` +
      `thin image ${mebibytes(one.thinBytes)}` +
      (one.startup === undefined ? '' : `; startup packs ${mebibytes(one.startup.sizeBytes)}`) +
      (one.guess === undefined
        ? ''
        : `; a start is guessed to read ${mebibytes(one.guess.rawBytes)}`)
    )
  })
  const { sentBytes, sentBlobs, foundBlobs } = result.published
  const stages = Object.entries(result.stageMs).map(([stage, ms]) => `${stage} ${seconds(ms)}`)
  return [
    `${result.destination}: ${result.digest}`,
    ...lines,
    `sent ${sentBlobs} blobs, ${mebibytes(sentBytes)}; found ${foundBlobs}; store ${result.store}`,
    `${seconds(result.elapsedMs)} (${stages.join(', ')}); peak memory ${mebibytes(result.peakRssBytes)}`,
    '',
  ].join('\n')
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`
}
