/** Runs `thinctl optimize` for a workload. The recording ends when the program is ready. */
import { type ChildProcess, spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { answerOf } from '../cold-start/started-task.js'
import type { Workload } from '../workloads/workload.js'
import { thinctlCommand } from '../../test/sandbox/thin-daemon.js'

export interface RecordedStartOptions {
  readonly workload: Workload
  readonly image: string
  readonly destination: string
  readonly database: string
  /** Path of the daemon's configuration. */
  readonly config: string
  readonly containerdAddress: string
  /** Mounts in the notation of `ctr`. */
  readonly mounts: readonly string[]
  /** Number of times to run the workload. */
  readonly runs: number
}

const TIMEOUT_MS = 900_000
const PERIOD_SEC = 600
const POLL_MS = 10

/** The output of `thinctl optimize --json`, as far as it is used here. */
interface OptimizeSummary {
  readonly platforms: readonly { readonly startup: { readonly sizeBytes: number } }[]
}

/**
 * Records and publishes the start. Returns the stored size of the bytes that the start reads. If
 * thinctl fails, throws an error with its output.
 */
export async function recordedStart(options: RecordedStartOptions): Promise<number> {
  const { workload, image, destination, database, config, containerdAddress, mounts, runs } =
    options
  const { ready } = workload
  const [file = '', ...args] = thinctlCommand([
    ...['optimize', '--json', '--plain-http', '--config', config, '--database', database],
    ...['--containerd-address', containerdAddress, '--period', String(PERIOD_SEC)],
    ...['--runs', String(runs)],
    ...(workload.hostNetwork ? ['--network', 'host'] : []),
    ...workload.env.flatMap((variable) => ['--env', variable]),
    ...mounts.flatMap((mount) => ['--mount', mount]),
    ...(ready.kind === 'line' ? ['--wait-for-line', ready.text] : []),
    ...(ready.kind === 'http' ? ['--wait-on-signal'] : []),
    ...[image, destination, '--', ...workload.command],
  ])
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const deadline = setTimeout(() => child.kill('SIGKILL'), TIMEOUT_MS)
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  if (ready.kind === 'http') {
    for (let run = 1; run <= runs; run++) await endWhenAnswered(child, ready.url)
  }
  try {
    const status = await ended
    if (status === 0) {
      const { platforms } = JSON.parse(stdout) as OptimizeSummary
      return platforms.reduce((sum, { startup }) => sum + startup.sizeBytes, 0)
    }
    throw new Error(`thinctl optimize ${image}: exit status ${status ?? 'signal'}\n${stderr}`)
  } finally {
    clearTimeout(deadline)
  }
}

/** Signals thinctl as soon as the program answers, and waits until the program has gone. */
async function endWhenAnswered(child: ChildProcess, url: string): Promise<void> {
  // A killed process has no exit code.
  const isRunning = (): boolean => child.exitCode === null && child.signalCode === null
  while (isRunning() && (await answerOf(url)) === undefined) await sleep(POLL_MS)
  child.kill('SIGINT')
  while (isRunning() && (await answerOf(url)) !== undefined) await sleep(POLL_MS)
}
