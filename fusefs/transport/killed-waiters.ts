/**
 * Ends waits on behalf of threads that are being killed. The kernel says only that a signal hit whoever
 * waits for a request. Only death ends the wait: a program does not expect EINTR from a file, and a
 * page fault would turn it into SIGBUS.
 */
import { readFile } from 'node:fs/promises'
import { FusefsError } from '../errors.js'
import type { Unique } from './dispatcher-messages.js'

/** A request that somebody waits for. */
export interface Waiting {
  /** The thread, 0 where it is not visible. */
  readonly pid: number
  readonly abort: AbortController
}

const KILLED_POLL_MS = 250
const SIGKILL_BIT = 1n << 8n

export class KilledWaiters {
  readonly #waiting = new Map<bigint, Waiting>()
  readonly #watched = new Set<Waiting>()

  /** From now on a signal to whoever waits for this request is looked at, until `remove`. */
  add(unique: Unique, waiting: Waiting): void {
    this.#waiting.set(keyOf(unique), waiting)
  }

  remove(unique: Unique): void {
    const key = keyOf(unique)
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) this.#watched.delete(waiting)
    this.#waiting.delete(key)
  }

  /** A signal hit whoever waits: aborts the wait with `aborted` once it turns out to be its death. */
  interrupt(unique: Unique): void {
    const waiting = this.#waiting.get(keyOf(unique))
    if (waiting === undefined || this.#watched.has(waiting)) return
    this.#watched.add(waiting)
    void this.#abortWhenKilled(waiting)
  }

  async #abortWhenKilled(waiting: Waiting): Promise<void> {
    const { abort, pid } = waiting
    while (this.#watched.has(waiting) && !abort.signal.aborted) {
      if (await isBeingKilled(pid)) {
        abort.abort(new FusefsError('aborted', `thread ${pid} was killed while it waited`))
        return
      }
      await new Promise((resolve) => setTimeout(resolve, KILLED_POLL_MS).unref())
    }
  }
}

/** Whether SIGKILL is pending for a thread (proc_pid_status(5), SigPnd and ShdPnd). */
async function isBeingKilled(pid: number): Promise<boolean> {
  if (pid === 0) return false
  try {
    const status = await readFile(`/proc/${pid}/status`, 'latin1')
    const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)]
    return pending.some((match) => (BigInt(`0x${match[1] ?? '0'}`) & SIGKILL_BIT) !== 0n)
  } catch {
    // No such thread: it is dead already, and nobody waits.
    return true
  }
}

function keyOf(unique: Unique): bigint {
  return (BigInt(unique.high) << 32n) | BigInt(unique.low)
}
