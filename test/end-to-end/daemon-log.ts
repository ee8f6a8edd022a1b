/** What a daemon does after containerd has its answer: its log says when. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Machine } from '../sandbox/machine.js'

/** Resolves when the machine's daemon has logged `message`; throws its log after a minute. */
export async function logged(machine: Machine, message: string): Promise<void> {
  const deadlineMs = performance.now() + 60_000
  while (!machine.daemon.log().includes(message)) {
    if (performance.now() > deadlineMs) throw new Error(machine.daemon.log())
    await sleep(20)
  }
}
