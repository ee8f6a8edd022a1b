/** A machine of the sandbox as contenders lend it: stock containerd, with our daemon or without. */
import type { ContenderMachine } from './contender.js'
import { namedProcesses } from './named-processes.js'
import type { Sandbox } from '../../test/sandbox/sandbox.js'

/**
 * `ctr` draws its progress every 100 ms, and what it has fetched it unpacks only after the next
 * drawing: every pull would be rounded up to that. With this flag it draws nothing.
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
