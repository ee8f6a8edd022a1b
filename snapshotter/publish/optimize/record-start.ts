/**
 * Runs a container of a thin image and records its reads until it is ready. It is ready when it
 * ends, when it prints a given line, when `ready` fires or when the period is over. The container
 * is removed before this returns or throws.
 */
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { type Digest, type Profile, profileFromBytes } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { type ContainerOptions, Ctr, ctrError, type CtrOptions } from './ctr.js'

export interface RecordStartOptions {
  readonly ctr: CtrOptions
  readonly container: Omit<ContainerOptions, 'id'>
  readonly plainHttp: boolean
  /** Digest of the merged index that the image names for this machine. */
  readonly index: Digest
  /** Longest recording. The container is ended afterwards. */
  readonly periodMs: number
  /** The recording ends when the container prints a line that contains this text. */
  readonly waitForLine: string | undefined
}

export interface RecordedStart {
  readonly profile: Profile
  /** Why the recording ended. */
  readonly end: 'exit' | 'line' | 'period' | 'signal'
  /** Time from `ctr run` to the end of the recording. */
  readonly elapsedMs: number
}

export interface RecordStartModules {
  /** Posts to `path` on the daemon's admin socket and returns the body of the answer. */
  readonly postToDaemon: (path: string, signal: AbortSignal) => Promise<string>
  /** Receives the container's output. */
  readonly onOutput: (bytes: Uint8Array) => void
  /** When it fires, the recording ends as if the line had been printed. */
  readonly ready: AbortSignal
}

type End = RecordedStart['end']

const GRACE_MS = 10_000
const MAX_LINE_BYTES = 64 * 1024

/**
 * Records one start. Throws `internal` with the container's output if the container fails,
 * `cancelled` when `signal` fires, and the errors of `postToDaemon`.
 */
export async function recordStart(
  options: RecordStartOptions,
  modules: RecordStartModules,
  signal: AbortSignal,
): Promise<RecordedStart> {
  const { container, index } = options
  const ctr = new Ctr(options.ctr)
  const id = `thin-optimize-${randomBytes(6).toString('hex')}`
  await ctr.pull(container.image, options, signal)
  const record = (verb: 'start' | 'stop', more = ''): Promise<string> =>
    modules.postToDaemon(`/v1/record/${verb}?tree=${index}${more}`, cleanUpSignal())
  await record('start')
  let stopped: Promise<string> | undefined
  const stop = (): Promise<string> => {
    const command = encodeURIComponent(container.command.join(' '))
    return (stopped ??= record('stop', `&command=${command}`))
  }
  const startedMs = performance.now()
  try {
    const child = ctr.start({ ...container, id })
    const end = await endOf(child, options, modules, signal)
    const elapsedMs = Math.round(performance.now() - startedMs)
    // Stop recording first: the reads of the container's shutdown are not part of its start.
    const profile = profileFromBytes(Buffer.from(await stop()))
    if (end !== 'exit') await endContainer(ctr, child, id)
    return { profile, end, elapsedMs }
  } finally {
    await stop().catch(() => undefined)
    await ctr.remove(id, cleanUpSignal())
  }
}

async function endOf(
  child: ChildProcess,
  options: RecordStartOptions,
  { onOutput, ready }: RecordStartModules,
  signal: AbortSignal,
): Promise<End> {
  const timers = new AbortController()
  let said = ''
  const line = new Promise<End>((resolve) => {
    const look = (bytes: Buffer): void => {
      onOutput(bytes)
      said = (said + bytes.toString('latin1')).slice(-MAX_LINE_BYTES)
      const wanted = options.waitForLine
      const latin1 = wanted === undefined ? undefined : Buffer.from(wanted).toString('latin1')
      if (latin1 !== undefined && said.includes(latin1)) resolve('line')
    }
    child.stdout?.on('data', look)
    child.stderr?.on('data', look)
  })
  const exit = once(child, 'close').then(([status]): End => {
    if (status === 0) return 'exit'
    const tail = Buffer.from(said.slice(-2000), 'latin1').toString().trim()
    const message = `the container ended with status ${String(status)}: ${tail}`
    throw new SnapshotterError('internal', message)
  })
  exit.catch(() => undefined)
  const period = delay(options.periodMs, 'period' as const, { signal: timers.signal })
  period.catch(() => undefined)
  try {
    return await Promise.race([exit, line, period, aborted(ready, 'signal'), givenUp(signal)])
  } catch (cause) {
    if (cause instanceof SnapshotterError) throw cause
    throw ctrError(cause, 'ctr run', signal)
  } finally {
    timers.abort()
  }
}

async function endContainer(ctr: Ctr, child: ChildProcess, id: string): Promise<void> {
  const isGone = child.exitCode !== null || child.signalCode !== null
  const gone = isGone ? Promise.resolve() : once(child, 'close')
  for (const name of ['SIGTERM', 'SIGKILL'] as const) {
    await ctr.kill(id, name, cleanUpSignal())
    const left = await Promise.race([gone.then(() => false), delay(GRACE_MS, true, { ref: false })])
    if (!left) return
  }
}

async function aborted(signal: AbortSignal, end: End): Promise<End> {
  if (!signal.aborted) await once(signal, 'abort')
  return end
}

async function givenUp(signal: AbortSignal): Promise<never> {
  if (!signal.aborted) await once(signal, 'abort')
  throw new SnapshotterError('cancelled', 'the recording was given up')
}

/** A deadline of 30 s for clean-up, which goes on after `signal` has fired. */
function cleanUpSignal(): AbortSignal {
  return AbortSignal.timeout(3 * GRACE_MS)
}
