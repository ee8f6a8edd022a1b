/**
 * Waits for work that a daemon does after it has answered containerd. The daemon's log shows when
 * it is done.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from '../sandbox/machine.js'

/**
 * Resolves when the machine's daemon has logged `message`. After a minute it throws an error with
 * the daemon's log.
 */
export async function logged(machine: Machine, message: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  while (!machine.daemon.log().includes(message)) {
    if (performance.now() > deadlineMs) throw new Error(machine.daemon.log())
    await sleep(20)
  }
}
