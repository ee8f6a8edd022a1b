/**
 * `thinctl optimize`: runs a thin image, records its start, and publishes it with a startup pack.
 */
import { writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { DEFAULT_CONFIG_PATH, loadConfig } from '../../config/index.js'
import {
  bytesFromProfile,
  mergedProfile,
  type Profile,
  repeatedStarts,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import {
  mergedIndexOf,
  optimizeImage,
  type OptimizeResult,
} from '../../publish/optimize/optimize-image.js'
import { askDaemon } from '../../node/admin/admin-client.js'
import { recordStart } from '../../publish/optimize/record-start.js'
import { formatPlatform, type RegistryConnection } from '../../images/registry/index.js'
import type { CommandContext } from '../command-context.js'
import { Interrupts } from '../interrupts.js'
import { readProfile } from '../profile-file.js'
import { openRegistryConnection } from '../registry-access.js'
import { splitWords } from '../split-words.js'
import { statePath } from '../state-path.js'
import { terminalProgress } from '../terminal-progress.js'
import { collected, wholeNumberBetween } from '../option-values.js'
import { mebibytes } from '../byte-count.js'

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
  readonly runs: number
  readonly waitForLine?: string
  readonly waitOnSignal: boolean
  readonly command: readonly (readonly string[])[]
  readonly profile: readonly string[]
  readonly replace: boolean
  readonly run: boolean
  readonly profileOut?: string
  readonly database?: string
  readonly temp: string
  readonly plainHttp: boolean
  readonly json: boolean
}

/** Beyond this, further runs add almost no new pages. */
const MAX_RUNS = 16

const DETAILS = `
IMAGE is a thin image that containerd can pull; DESTINATION is where it goes with its startup pack, and may
be the same name. COMMAND is run instead of the image's own; --command gives more of them, each recorded for
itself. What an image reads that is optimized already stays in its startup pack, unless the same command is
recorded again: run optimize for one command after the other. The recording ends when the container does, with the line or signal that is waited for, or after the period; then the container is ended.
What the container prints goes to standard error.

A program whose threads race, or that collects garbage, touches other pages each time. With --runs 2 or more, all
that was read counts, and files in which the runs differ come whole (up to 32 MiB), behind the rest.

Content stays in the store that the recipe names. Of several platforms, that of this machine is
recorded. A --profile is for the platform whose index it names: record on a machine of each, with
--profile-out, and publish them together. Platforms without profile are carried over.`

export function addOptimizeCommand(program: Command, context: CommandContext): void {
  program
    .command('optimize')
    .description('record what a start of a thin image reads, and publish it with a startup pack')
    .argument('<image>', 'the thin image')
    .argument('<destination>', 'where the optimized image goes')
    .argument('[command...]', 'what the container runs; put -- before it')
    .option(
      '--command <text>',
      'one more command, quoted as for a shell (again for more)',
      (text: string, before: readonly string[][]) => [...before, splitWords(text)],
      [],
    )
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
    .option(
      '--runs <count>',
      'how often each command is run and recorded',
      wholeNumberBetween(1, MAX_RUNS),
      1,
    )
    .option('--wait-for-line <text>', 'record until a line with this is printed')
    .option('--wait-on-signal', 'record until SIGINT (Ctrl-C), each run until one', false)
    .option(
      '--profile <file>',
      'a profile recorded before, to be merged (again for more)',
      collected,
      [],
    )
    .option('--replace', 'forget what the image was optimized for before', false)
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
  refuseContradictions(options)
  const given = await Promise.all(options.profile.map(readProfile))
  const connection = openRegistryConnection(options)
  const progress = terminalProgress()
  try {
    const recorded = options.run ? await recordProfiles(what, options, connection, context) : []
    const profiles = [...recorded, ...given]
    // A signal that has ended a recording must not abort the publication. The next one ends the
    // process.
    const wasAnswer = options.waitOnSignal && context.signal.aborted
    const signal = wasAnswer ? new AbortController().signal : context.signal
    const result = await optimizeImage(
      {
        image: what.image,
        destination: what.destination,
        profiles,
        replace: options.replace,
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

function refuseContradictions({ profile, run, runs, stdin }: Options): void {
  if (!run && profile.length === 0) {
    throw new SnapshotterError('invalid-argument', '--no-run: needs a --profile')
  }
  if (runs === 1 || !stdin) return
  throw new SnapshotterError('invalid-argument', `--runs ${runs}: --stdin is there for one run`)
}

/**
 * Records the profiles. With --wait-on-signal, each SIGINT or SIGTERM ends one recording. Otherwise
 * the first one aborts the command.
 */
async function recordProfiles(
  what: What,
  options: Options,
  connection: RegistryConnection,
  { signal }: CommandContext,
): Promise<Profile[]> {
  if (!options.waitOnSignal) {
    return recordAll(what, options, { connection, signal, interrupts: undefined })
  }
  const interrupts = Interrupts.listen()
  try {
    const never = new AbortController().signal
    return await recordAll(what, options, { connection, signal: never, interrupts })
  } finally {
    interrupts.close()
  }
}

interface RecordModules {
  readonly connection: RegistryConnection
  readonly signal: AbortSignal
  /** Defined with --wait-on-signal: each recording ends with the next interrupt. */
  readonly interrupts: Interrupts | undefined
}

/**
 * One profile for each command: the one after the image, then those of `--command`. Where there is
 * none, the image's own command is recorded.
 */
async function recordAll(what: What, options: Options, use: RecordModules): Promise<Profile[]> {
  const isOwn = what.command.length === 0 && options.command.length > 0
  const profiles: Profile[] = []
  for (const command of [...(isOwn ? [] : [what.command]), ...options.command]) {
    const first = await record({ ...what, command }, options, use)
    const others: Profile[] = []
    while (others.length + 1 < options.runs) {
      others.push(await record({ ...what, command }, options, use))
    }
    profiles.push(repeatedStarts(first, ...others))
  }
  const [first, ...others] = profiles
  if (options.profileOut !== undefined && first !== undefined) {
    await writeFile(options.profileOut, bytesFromProfile(mergedProfile(first, ...others)))
  }
  return profiles
}

async function record(
  { image, command }: What,
  options: Options,
  use: RecordModules,
): Promise<Profile> {
  const { connection, signal, interrupts } = use
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
      ...{ index, plainHttp: options.plainHttp || isLoopback(image) },
      periodMs: options.period * 1000,
      waitForLine: options.waitForLine,
    },
    {
      postToDaemon: (path, signal) => askDaemon(adminAddress, 'POST', path, signal),
      onOutput: (bytes) => process.stderr.write(bytes),
      ready: interrupts?.next() ?? new AbortController().signal,
    },
    signal,
  )
  const sizeBytes = profile.ranges.reduce((sum, range) => sum + range.length, 0)
  process.stderr.write(
    `recorded ${mebibytes(sizeBytes)} in ${profile.ranges.length} ranges until ${ENDS[end]}, ` +
      `${(elapsedMs / 1000).toFixed(1)} s\n`,
  )
  return profile
}

const ENDS = {
  exit: 'the container ended',
  line: 'the line was printed',
  period: 'the period was over',
  signal: 'the signal',
} as const

function summaryOf(result: OptimizeResult): string {
  const { destination, digest, platforms, store, carriedOver } = result
  const lines = platforms.map(({ platform, startup, starts }) => {
    const packs = startup.packs === 1 ? 'pack' : 'packs'
    const commands = starts.length === 1 ? '' : ` of ${starts.length} commands`
    return `  ${formatPlatform(platform)}: startup ${packs}${commands} ${mebibytes(startup.sizeBytes)} in ${store}\n`
  })
  const others = carriedOver === 0 ? '' : `  ${carriedOver} other platforms carried over\n`
  return `${destination}: ${digest}\n${lines.join('')}${others}`
}

/** Whether the registry is on a loopback address. We use plain HTTP for it, so ctr must, too. */
function isLoopback(image: string): boolean {
  return /^(?:docker:\/\/)?(?:localhost|127\.\d+\.\d+\.\d+|\[::1\])(?::\d+)?\//.test(image)
}

function seconds(text: string): number {
  const value = Number(text)
  if (value > 0 && value <= 86_400) return value
  throw new InvalidArgumentError('It must be a number of seconds, up to a day.')
}
