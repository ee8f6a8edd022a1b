/**
 * One cold start: a machine that has never seen the image pulls it, creates a container and runs it
 * to its end. The registry, its proxy and the steps are the same for every contender.
 */
import { randomBytes } from 'node:crypto'
import { dropCaches } from './drop-caches.js'
import { tryProgram } from '../test/sandbox/program.js'
import type { Sandbox } from '../test/sandbox/sandbox.js'

export interface ColdStartOptions {
  /** The image to pull. */
  readonly reference: string
  /** What to run in it. */
  readonly command: readonly string[]
  readonly snapshotter: 'overlayfs' | 'thin'
}

export interface ColdStart {
  readonly pullMs: number
  readonly createMs: number
  /** From the start of the task to the end of its process. */
  readonly runMs: number
  readonly totalMs: number
  /** What the registry sent, from the pull to the end of the process. */
  readonly receivedBytes: number
  readonly requests: number
  /** What the process printed. */
  readonly output: string
}

export async function coldStart(sandbox: Sandbox, options: ColdStartOptions): Promise<ColdStart> {
  const { reference, command, snapshotter } = options
  const machine = await sandbox.startMachine({ thin: snapshotter === 'thin' })
  try {
    await dropCaches()
    // The programs that every contender needs are read before the clock starts.
    await machine.containerd.ctr(['version'])
    await tryProgram(['runc', '--version'])
    await tryProgram(['containerd-shim-runc-v2', '-v'])
    sandbox.proxy.reset()
    const id = `cold-${randomBytes(4).toString('hex')}`
    const pull = await machine.containerd.pull(reference, snapshotter)
    const create = await machine.containerd.ctr([
      ...['containers', 'create', '--snapshotter', snapshotter],
      '--',
      reference,
      id,
      ...command,
    ])
    const run = await machine.containerd.ctr(['tasks', 'start', id])
    const { receivedBytes, requests } = sandbox.proxy.traffic
    await machine.containerd.ctr(['containers', 'rm', id])
    return {
      pullMs: pull.elapsedMs,
      createMs: create.elapsedMs,
      runMs: run.elapsedMs,
      totalMs: pull.elapsedMs + create.elapsedMs + run.elapsedMs,
      receivedBytes,
      requests,
      output: run.stdout,
    }
  } finally {
    await sandbox.closeMachine(machine)
  }
}

/** Columns of a table of cold starts. */
export function samplesOf(starts: readonly ColdStart[]): Record<string, number[]> {
  return {
    'pull s': starts.map(({ pullMs }) => pullMs / 1000),
    'create s': starts.map(({ createMs }) => createMs / 1000),
    'run s': starts.map(({ runMs }) => runMs / 1000),
    'total s': starts.map(({ totalMs }) => totalMs / 1000),
    'received MB': starts.map(({ receivedBytes }) => receivedBytes / 1e6),
    requests: starts.map(({ requests }) => requests),
  }
}
