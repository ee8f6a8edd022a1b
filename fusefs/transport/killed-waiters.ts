/**
 * Ends the waits of threads that are being killed. The kernel says only that some signal hit the
 * thread that waits for a request. A signal that does not kill must not end the wait: a program
 * does not expect EINTR from a file, and a page fault would turn EINTR into SIGBUS.
 */
import { readFile } from 'node:fs/promises'
import { FusefsError } from '../errors.js'
import type { Unique } from './dispatcher-messages.js'

/** A request that a thread waits for. */
export interface Waiting {
  /** Id of the waiting thread; 0 when it is not visible to this process. */
  readonly pid: number
  readonly abort: AbortController
}

const KILLED_POLL_MS = 250
const SIGKILL_BIT = 1n << 8n

export class KilledWaiters {
  readonly #waiting = new Map<bigint, Waiting>()
  readonly #watched = new Set<Waiting>()

  /** Registers a request, so that `interrupt` takes effect for it until `remove`. */
  add(unique: Unique, waiting: Waiting): void {
    this.#waiting.set(keyOf(unique), waiting)
  }

  remove(unique: Unique): void {
    const key = keyOf(unique)
    const waiting = this.#waiting.get(key)
    if (waiting !== undefined) this.#watched.delete(waiting)
    this.#waiting.delete(key)
  }

  /** A signal hit the waiting thread. Aborts the wait with `aborted` once the thread is killed. */
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

/**
 * Whether SIGKILL is pending for a thread (proc_pid_status(5), SigPnd and ShdPnd), or the thread is
 * gone. False for pid 0.
 */
async function isBeingKilled(pid: number): Promise<boolean> {
  if (pid === 0) return false
  try {
    const status = await readFile(`/proc/${pid}/status`, 'latin1')
    const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)]
    return pending.some((match) => (BigInt(`0x${match[1] ?? '0'}`) & SIGKILL_BIT) !== 0n)
  } catch {
    // The thread does not exist any more, so nobody waits.
    return true
  }
}

function keyOf(unique: Unique): bigint {
  return (BigInt(unique.high) << 32n) | BigInt(unique.low)
}
