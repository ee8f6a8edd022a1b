/**
 * The lower limit of every way to pull: a warm start, the bytes over the network, and the round
 * trips.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { createArguments, sourceMounts } from './container-command.js'
import type { FloorRecord, Network } from './start-record.js'
import { StartedTask } from './started-task.js'
import { medianOf } from '../statistics.js'
import type { Workload } from '../workloads/workload.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

/**
 * Round trips that every pull needs: one for the connection, one for the manifest by its tag, and
 * one for configuration and content at the same time. The content's digest is known only from the
 * manifest. TLS, tokens and redirections would need more round trips.
 */
const ROUND_TRIPS = 3

/**
 * Median time of create and run over `runs` starts from local overlayfs. One start before them is
 * not counted.
 */
export async function warmStartMs(
  sandbox: Sandbox,
  workload: Workload,
  { reference, runs }: { readonly reference: string; readonly runs: number },
): Promise<number> {
  const machine = await sandbox.startMachine({ thin: false })
  const { containerd } = machine
  try {
    await containerd.pull(reference, 'overlayfs')
    const mounts = sourceMounts(workload, join(sandbox.directory, 'sources', workload.name))
    const elapsedMs: number[] = []
    for (let run = 0; run <= runs; run++) {
      const id = `warm-${randomBytes(4).toString('hex')}`
      const snapshotter = 'overlayfs'
      const create = createArguments({ workload, reference, snapshotter, id, mounts })
      const startedMs = performance.now()
      await containerd.ctr(create)
      const task = StartedTask.start(containerd, id)
      try {
        await task.ready(workload.ready)
        if (run > 0) elapsedMs.push(performance.now() - startedMs)
      } finally {
        await task.end()
      }
    }
    return medianOf(elapsedMs)
  } finally {
    await sandbox.closeMachine(machine)
  }
}

export interface FloorOptions {
  readonly workload: string
  readonly network: Network
  /** See `warmStartMs`. */
  readonly warmMs: number
  /** Compressed size of the bytes that a start reads. */
  readonly touchedBytes: number
}

export function floorOf({ workload, network, warmMs, touchedBytes }: FloorOptions): FloorRecord {
  const { roundTripMs, bitsPerSecond } = network
  const wireMs = bitsPerSecond === undefined ? 0 : (touchedBytes * 8 * 1000) / bitsPerSecond
  return {
    workload,
    network: network.name,
    warmMs,
    touchedBytes,
    roundTrips: ROUND_TRIPS,
    totalMs: warmMs + wireMs + ROUND_TRIPS * roundTripMs,
  }
}
