/** The faults that a run injects into a machine while containers read. */
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { daemonStatusFromJson } from '../../snapshotter/node/admin/daemon-status.js'
import type { Machine } from '../sandbox/machine.js'
import type { Sandbox } from '../sandbox/sandbox.js'
import { thinctlCommand } from '../sandbox/thin-daemon.js'
import { tryProgram } from '../sandbox/program.js'
import type { Random } from '../index-format/pack/random.js'

export interface FaultTarget {
  readonly sandbox: Sandbox
  readonly machine: Machine
  readonly random: Random
}

/** Injects one fault, and resolves when the next one may come. */
export type Fault = (target: FaultTarget) => Promise<void>

/** A stalled or refusing part is left so for at most this long: programs must not see an error. */
const MAX_STALL_MS = 1500
const READY_TIMEOUT_MS = 60_000

export const FAULTS = {
  /** SIGKILL for the daemon, at a random moment after it has become ready. */
  'kill-daemon': async (target) => {
    const pid = await daemonPid(target.machine)
    process.kill(pid, 'SIGKILL')
    // The kernel queues until another daemon serves. It may be the standby.
    while ((await daemonPid(target.machine)) === pid) await sleep(50)
    await sleep(target.random.below(500))
  },
  /** SIGSTOP for the daemon, and SIGCONT some time later. */
  'stop-daemon': async ({ machine, random }) => {
    const pid = await daemonPid(machine)
    process.kill(pid, 'SIGSTOP')
    await sleep(random.below(MAX_STALL_MS))
    continueProcess(pid)
  },
  /** A planned restart: SIGTERM for the front, and a new front. */
  'restart-daemon': async ({ machine }) => {
    await machine.daemon.stopProgram()
    await machine.daemon.startProgram()
    await daemonPid(machine)
  },
  /** containerd is stopped and started. */
  'restart-containerd': async ({ machine }) => {
    await machine.containerd.restart()
  },
  /** The registry breaks off all connections, and refuses new ones for a while. */
  'refuse-connections': async ({ sandbox, random }) => {
    await sandbox.proxy.refuse(true)
    await sleep(random.below(MAX_STALL_MS))
    await sandbox.proxy.refuse(false)
  },
  /** The registry breaks off all connections. */
  'reset-connections': async ({ sandbox }) => {
    await sandbox.proxy.refuse(true)
    await sandbox.proxy.refuse(false)
  },
  /** The kernel drops its page cache, and what it knows of names. */
  'drop-caches': () => {
    writeFileSync('/proc/sys/vm/drop_caches', '3')
    return Promise.resolve()
  },
} satisfies Record<string, Fault>

export type FaultName = keyof typeof FAULTS

export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[]

/** The process id of the daemon that serves, as it says itself. Waits until one answers. */
async function daemonPid(machine: Machine): Promise<number> {
  const deadlineMs = performance.now() + READY_TIMEOUT_MS
  const command = thinctlCommand(['status', '--json', '--config', machine.daemon.config])
  for (;;) {
    const { exitCode, stdout, stderr } = await tryProgram(command, { timeoutMs: READY_TIMEOUT_MS })
    if (exitCode === 0) return daemonStatusFromJson(stdout).pid
    if (performance.now() > deadlineMs) throw new Error(`the daemon does not come back: ${stderr}`)
    await sleep(50)
  }
}

/** A daemon that was stopped for long may have been replaced meanwhile. */
function continueProcess(pid: number): void {
  try {
    process.kill(pid, 'SIGCONT')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
  }
}
