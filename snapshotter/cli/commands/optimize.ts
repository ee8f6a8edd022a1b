/** `thinctl optimize`: runs a thin image, records its start, publishes it with a startup pack. */
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { DEFAULT_CONFIG_PATH, loadConfig } from '../../config/index.js'
import { bytesFromProfile, type Profile } from '../../../index-format/index.js'
import { mergedIndexOf, optimizeImage, type OptimizeResult } from '../../optimize/optimize-image.js'
import { recordStart } from '../../optimize/record-start.js'
import type { RegistryConnection } from '../../registry/index.js'
import type { CommandContext } from '../command-context.js'
import { readProfile } from '../profile-file.js'
import { openRegistryConnection } from '../registry-access.js'
import { statePath } from '../state-path.js'
import { terminalProgress } from '../terminal-progress.js'

interface Options {
  readonly config?: string
  readonly containerdAddress?: string
  readonly namespace: string
  readonly snapshotter: string
  readonly network: 'host' | 'none'
  readonly mount: readonly string[]
  readonly env: readonly string[]
  readonly stdin: boolean
  readonly terminal: boolean
  readonly period: number
  readonly waitForLine?: string
  readonly waitOnSignal: boolean
  readonly profile: readonly string[]
  readonly run: boolean
  readonly profileOut?: string
  readonly database?: string
  readonly temp: string
  readonly plainHttp: boolean
  readonly json: boolean
}

const DETAILS = `
IMAGE is a thin image that containerd can pull; DESTINATION is where it goes with its startup pack, and may
be the same name. COMMAND is run instead of the image's own. The recording ends when the container
does, with the line or signal that is waited for, or after the period; then the container is ended.
What the container prints goes to standard error.

Content stays in the store that the recipe names. Of several platforms, that of this machine is
recorded; the others are carried over.`

export function addOptimizeCommand(program: Command, context: CommandContext): void {
  program
    .command('optimize')
    .description('record what a start of a thin image reads, and publish it with a startup pack')
    .argument('<image>', 'the thin image')
    .argument('<destination>', 'where the optimized image goes')
    .argument('[command...]', 'what the container runs; put -- before it')
    .option('-c, --config <file>', `configuration of the daemon (default ${DEFAULT_CONFIG_PATH})`)
    .option('--containerd-address <socket>', "containerd's socket (default: that of ctr)")
    .option('--namespace <name>', 'namespace of containerd', 'default')
    .option('--snapshotter <name>', 'name of this snapshotter in containerd', 'thin')
    .addOption(
      new Option('--network <kind>', 'what the container sees of it')
        .choices(['host', 'none'])
        .default('none'),
    )
    .option('--mount <spec>', 'as "ctr run --mount" takes it (again for more)', collected, [])
    .option('--env <name=value>', 'environment of the container (again for more)', collected, [])
    .option('--stdin', 'the container reads our standard input', false)
    .option('--terminal', 'the container has our terminal', false)
    .option('--period <seconds>', 'how long to record at most', seconds, 60)
    .option('--wait-for-line <text>', 'record until a line with this is printed')
    .option('--wait-on-signal', 'record until SIGINT (Ctrl-C)', false)
    .option(
      '--profile <file>',
      'a profile recorded before, to be merged (again for more)',
      collected,
      [],
    )
    .option('--no-run', 'record nothing, use --profile alone')
    .option('--profile-out <file>', 'keep what was recorded')
    .option('--database <file>', "the publisher's memory of what is stored")
    .option('--temp <dir>', 'folder for temporary files', tmpdir())
    .option('--plain-http', 'speak HTTP without TLS to every registry', false)
    .option('--json', 'print the result as JSON', false)
    .addHelpText('after', DETAILS)
    .action((image: string, destination: string, command: string[], options: Options) =>
      optimize({ image, destination, command }, options, context),
    )
}

interface What {
  readonly image: string
  readonly destination: string
  readonly command: readonly string[]
}

async function optimize(what: What, options: Options, context: CommandContext): Promise<void> {
  const given = await Promise.all(options.profile.map(readProfile))
  const connection = openRegistryConnection(options)
  const progress = terminalProgress()
  // With --wait-on-signal the first signal is what is waited for; a second one kills.
  const signal = options.waitOnSignal ? new AbortController().signal : context.signal
  try {
    const recorded = options.run
      ? [await record(what, options, { connection, signal, context })]
      : []
    const [first, ...others] = [...recorded, ...given]
    if (first === undefined) throw new InvalidArgumentError('--no-run needs a --profile.')
    const result = await optimizeImage(
      {
        image: what.image,
        destination: what.destination,
        profiles: [first, ...others],
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

async function record(
  { image, command }: What,
  options: Options,
  use: { connection: RegistryConnection; signal: AbortSignal; context: CommandContext },
): Promise<Profile> {
  const { connection, signal, context } = use
  const { adminAddress } = await loadConfig(options.config)
  const index = await mergedIndexOf(image, { tempFolder: options.temp }, { connection }, signal)
  const { namespace, snapshotter, containerdAddress: address, terminal, stdin } = options
  const { profile, end, elapsedMs } = await recordStart(
    {
      ctr: { address, namespace, snapshotter },
      container: {
        ...{ command, terminal, stdin },
        image: image.replace(/^docker:\/\//, ''),
        hostNetwork: options.network === 'host',
        mounts: options.mount,
        env: options.env,
      },
      ...{ adminAddress, index, plainHttp: options.plainHttp || isLoopback(image) },
      periodMs: options.period * 1000,
      waitForLine: options.waitForLine,
    },
    {
      onOutput: (bytes) => process.stderr.write(bytes),
      ready: options.waitOnSignal ? context.signal : new AbortController().signal,
    },
    signal,
  )
  const sizeBytes = profile.ranges.reduce((sum, range) => sum + range.length, 0)
  process.stderr.write(
    `recorded ${mib(sizeBytes)} in ${profile.ranges.length} ranges until ${ENDS[end]}, ` +
      `${(elapsedMs / 1000).toFixed(1)} s\n`,
  )
  if (options.profileOut !== undefined) {
    await writeFile(options.profileOut, bytesFromProfile(profile))
  }
  return profile
}

const ENDS = {
  exit: 'the container ended',
  line: 'the line was printed',
  period: 'the period was over',
  signal: 'the signal',
} as const

function summaryOf(result: OptimizeResult): string {
  const { destination, digest, startup, store, carriedOver } = result
  const others = carriedOver === 0 ? '' : `; ${carriedOver} other platforms carried over`
  return (
    `${destination}: ${digest}\n` +
    `  startup ${startup.packs === 1 ? 'pack' : 'packs'} ${mib(startup.sizeBytes)} in ${store}${others}\n`
  )
}

/** Registries of this machine speak plain HTTP unless told otherwise, to us and so to ctr. */
function isLoopback(image: string): boolean {
  return /^(?:docker:\/\/)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?\//.test(image)
}

function mib(sizeBytes: number): string {
  return `${(sizeBytes / 1024 ** 2).toFixed(1)} MiB`
}

function collected(value: string, before: readonly string[]): string[] {
  return [...before, value]
}

function seconds(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= 86_400) return value
  throw new InvalidArgumentError('It must be a number of seconds, up to a day.')
}
