/**
 * Runs a workload until it is ready, from an image that containerd has, to check that the workload
 * does its task.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Readiness, Workload } from './workload.js'
import { sourceMounts } from '../cold-start/container-command.js'
import { answerOf } from '../cold-start/started-task.js'
import type { Containerd } from '../../test/sandbox/containerd.js'

const READY_TIMEOUT_MS = 180_000
const POLL_MS = 10

export interface TrialOptions {
  readonly containerd: Containerd
  readonly reference: string
  readonly snapshotter: string
  /** Directory to which the workload's sources are written. */
  readonly directory: string
}

export interface Trial {
  /** Time from `ctr run` until the workload was ready. */
  readonly readyMs: number
  /** The output of a program that ended, the line that was awaited, or the body of the answer. */
  readonly output: string
}

/**
 * Runs a workload. Throws an error with the program's output if the program fails or is not ready
 * within three minutes.
 */
export async function tryWorkload(workload: Workload, options: TrialOptions): Promise<Trial> {
  const { containerd, reference, snapshotter } = options
  const { command, ready } = workload
  const run = { snapshotter, flags: runFlags(workload, options.directory) }
  if (ready.kind === 'exit') {
    const limits = { ...run, timeoutMs: READY_TIMEOUT_MS }
    const { stdout, elapsedMs } = await containerd.run(reference, command, limits)
    return { readyMs: elapsedMs, output: stdout }
  }
  const startedMs = performance.now()
  const container = await containerd.start(reference, command, run)
  try {
    const output = await untilReady(ready, container.logFile, startedMs + READY_TIMEOUT_MS)
    return { readyMs: performance.now() - startedMs, output }
  } finally {
    // The program has done its task, so its SIGTERM handling is not awaited: the first process of a
    // container may ignore SIGTERM.
    await containerd.remove(container, 500)
  }
}

/** Returns the flags of `ctr run`. Writes the workload's sources below `directory`. */
function runFlags(workload: Workload, directory: string): string[] {
  const { name, env, hostNetwork } = workload
  const flags = env.flatMap((setting) => ['--env', setting])
  if (hostNetwork) flags.push('--net-host')
  const mounts = sourceMounts(workload, join(directory, `src-${name}`))
  return [...flags, ...mounts.flatMap((mount) => ['--mount', mount])]
}

async function untilReady(
  ready: Exclude<Readiness, { kind: 'exit' }>,
  logFile: string,
  deadlineMs: number,
): Promise<string> {
  while (performance.now() < deadlineMs) {
    const output = ready.kind === 'line' ? printed(logFile, ready.text) : await answerOf(ready.url)
    if (output !== undefined) return output
    await sleep(POLL_MS)
  }
  throw new Error(`not ready in time; it printed:\n${readFileSync(logFile, 'utf8').slice(-4000)}`)
}

/** Returns the first line of the log that contains `text`. */
function printed(logFile: string, text: string): string | undefined {
  const lines = readFileSync(logFile, 'utf8').split('\n')
  return lines.find((line) => line.includes(text))
}
