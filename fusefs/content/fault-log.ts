/** Logs each failure once per window, because one broken store can fail a thousand reads. */
import { LRUCache } from 'lru-cache'
import type { Log } from '../log.js'
import { fieldsOfError } from '../shown-error.js'
import { MAX_REMEMBERED_FAULTS } from './content-limits.js'

export interface Fault {
  /** The thing at fault, such as a server and a blob. */
  readonly subject: string
  /** The kind of failure. */
  readonly cause: string
  readonly error: unknown
  readonly message: string
  /** Default `warn`. */
  readonly level?: 'error' | 'warn'
  /** Further fields of the line. */
  readonly fields?: object
}

interface SeenFault {
  readonly loggedAtMs: number
  /** Faults with this subject and cause that were not logged since then. */
  unlogged: number
}

export class FaultLog {
  readonly #windowMs: number
  readonly #log: Log
  readonly #now: () => number
  readonly #seen = new LRUCache<string, SeenFault>({ max: MAX_REMEMBERED_FAULTS })

  /** `now`: milliseconds that only grow. Default `performance.now`. */
  constructor(
    options: { windowMs: number },
    modules: { log: Log; now?: (() => number) | undefined },
  ) {
    this.#windowMs = options.windowMs
    this.#log = modules.log
    this.#now = modules.now ?? (() => performance.now())
  }

  /**
   * Logs a fault, unless one with this `subject` and `cause` was logged within the window. The next
   * line of this `subject` and `cause` has the number of faults that were not logged.
   */
  note(fault: Fault): void {
    const { subject, cause, error, message, level = 'warn', fields } = fault
    const key = `${subject} ${cause}`
    const nowMs = this.#now()
    const seen = this.#seen.get(key)
    if (seen !== undefined && nowMs - seen.loggedAtMs < this.#windowMs) {
      seen.unlogged++
      return
    }
    this.#seen.set(key, { loggedAtMs: nowMs, unlogged: 0 })
    const unlogged = seen === undefined || seen.unlogged === 0 ? {} : { unlogged: seen.unlogged }
    const line = { subject, cause, ...fields, ...unlogged, ...fieldsOfError(error) }
    if (level === 'error') this.#log.error(line, message)
    else this.#log.warn(line, message)
  }
}
