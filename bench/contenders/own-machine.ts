/** A machine of the sandbox for contenders: stock containerd, with our daemon or without it. */
import type { ContenderMachine } from './contender.js'
import { namedProcesses } from './named-processes.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

/**
 * `ctr` draws its progress every 100 ms, and unpacks fetched content only after the next drawing.
 * This would round every pull up to the next 100 ms. With this flag `ctr` draws no progress.
 */
export const QUIET: readonly string[] = ['--debug']

export async function ownMachine(
  sandbox: Sandbox,
  snapshotter: 'overlayfs' | 'thin',
): Promise<ContenderMachine> {
  const machine = await sandbox.startMachine({ thin: snapshotter === 'thin' })
  const { containerd } = machine
  const processes = snapshotter === 'thin' ? namedProcesses(machine.daemon.directory) : {}
  return {
    containerd,
    snapshotter,
    puller: containerd.ctrCommand(QUIET),
    pullArguments: (reference) => [
      ...['images', 'pull', '--plain-http', '--snapshotter', snapshotter],
      reference,
    ],
    processes: () => processes,
    close: () => sandbox.closeMachine(machine),
  }
}
