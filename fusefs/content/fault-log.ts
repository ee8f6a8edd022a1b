/** Logs each failure once per window, because one broken store can fail a thousand reads. */
import { LRUCache } from 'lru-cache'
import type { Log } from '../log.js'
import { MAX_REMEMBERED_FAULTS } from './content-limits.js'

export class FaultLog {
  readonly #log: Log
  readonly #seen: LRUCache<string, true>

  constructor(options: { windowMs: number }, modules: { log: Log }) {
    this.#log = modules.log
    this.#seen = new LRUCache({ max: MAX_REMEMBERED_FAULTS, ttl: options.windowMs })
  }

  /** Logs a warning, unless one with this `subject` and `cause` was logged within the window. */
  note(fault: { subject: string; cause: string; error: unknown; message: string }): void {
    const key = `${fault.subject} ${fault.cause}`
    if (this.#seen.has(key)) return
    this.#seen.set(key, true)
    this.#log.warn({ subject: fault.subject, cause: fault.cause, err: fault.error }, fault.message)
  }
}
