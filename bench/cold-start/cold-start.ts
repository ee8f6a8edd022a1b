/**
 * One cold start: a machine that has never seen the image pulls it, creates a container and runs it
 * until its program is ready. Registry, network and steps are the same for every contender.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createArguments, sourceMounts } from './container-command.js'
import { ProcessWatch } from './process-watch.js'
import type { Network, StartRecord } from './start-record.js'
import { StartedTask } from './started-task.js'
import { dropCaches } from '../drop-caches.js'
import type { Contender, ContenderMachine } from '../contenders/contender.js'
import type { Workload } from '../workloads/workload.js'
import { runProgram, tryProgram } from '../../test/sandbox/program.js'
import { UNSHAPED } from '../../test/sandbox/proxy/network-shape.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

/** Long enough to pull gigabytes over a slow network. */
const PULL_TIMEOUT_MS = 3_600_000

export interface ColdStartOptions {
  readonly workload: Workload
  readonly contender: Contender
  /** The image that the contender has published. */
  readonly reference: string
  readonly network: Network
  /** Number of the run, from 1. */
  readonly run: number
}

export interface ColdStart {
  readonly record: StartRecord
  /** The result of `StartedTask.ready`. */
  readonly output: string
}

export async function coldStart(sandbox: Sandbox, options: ColdStartOptions): Promise<ColdStart> {
  await sandbox.proxy.shape(options.network)
  const machine = await options.contender.startMachine(sandbox)
  sandbox.own(machine)
  try {
    await dropCaches()
    // Run the programs that every contender needs once, so that they are in the page cache before
    // the clock starts.
    await machine.containerd.ctr(['version'])
    await tryProgram([machine.puller[0] ?? 'ctr', '--version'])
    await tryProgram(['runc', '--version'])
    await tryProgram(['containerd-shim-runc-v2', '-v'])
    return await startOn(sandbox, machine, options)
  } finally {
    sandbox.disown(machine)
    await machine.close()
    await sandbox.proxy.shape(UNSHAPED)
  }
}

async function startOn(
  sandbox: Sandbox,
  machine: ContenderMachine,
  { workload, contender, reference, network, run }: ColdStartOptions,
): Promise<ColdStart> {
  const { containerd, snapshotter, puller, pullArguments } = machine
  const id = `cold-${randomBytes(4).toString('hex')}`
  const mounts = sourceMounts(workload, join(sandbox.directory, 'sources', workload.name))
  const create = createArguments({ workload, reference, snapshotter, id, mounts })
  const watch = ProcessWatch.start(() => ({ ...machine.processes(), containerd: containerd.pid }))
  sandbox.proxy.reset()
  const startedMs = performance.now()
  await runProgram([...puller, ...pullArguments(reference)], { timeoutMs: PULL_TIMEOUT_MS })
  const pulledMs = performance.now()
  await containerd.ctr(create)
  const createdMs = performance.now()
  const { requests: requestsBefore } = sandbox.proxy.traffic
  const task = StartedTask.start(containerd, id)
  watch.watchContainer(containerd.directory, id, task.ctrPid)
  try {
    const output = await task.ready(workload.ready)
    const readyMs = performance.now()
    const { requests, receivedBytes } = sandbox.proxy.traffic
    const { cpuSeconds, peakRssBytes } = watch.stop()
    const record: StartRecord = {
      workload: workload.name,
      contender: contender.name,
      network: network.name,
      run,
      pullMs: pulledMs - startedMs,
      createMs: createdMs - pulledMs,
      runMs: readyMs - createdMs,
      totalMs: readyMs - startedMs,
      requests,
      receivedBytes,
      requestsWhileRunning: requests - requestsBefore,
      cpuSeconds,
      peakRssBytes,
    }
    return { record, output }
  } finally {
    watch.stop()
    await task.end()
  }
}
