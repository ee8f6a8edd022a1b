/**
 * Requests whose answer is in a part of an index that has not arrived yet. They wait for the whole
 * index. Then a dispatcher on the server's own thread answers them.
 */
import { LRUCache } from 'lru-cache'
import { FusefsError } from '../errors.js'
import { patiently } from '../waiting/patience.js'
import { requestDeadline } from '../waiting/request-deadline.js'
import { isFault } from '../filesystem/errno.js'
import type { Log } from '../log.js'
import { fieldsOfError } from '../shown-error.js'
import type { Dispatcher } from './dispatcher.js'
import type { ParkedRequest, Unique } from './dispatcher-messages.js'
import { KilledWaiters } from './killed-waiters.js'
import type { StatsRow } from './server-stats.js'

/**
 * Fetches the rest of a tree's index. Resolves when the whole index is on this node. Rejects when
 * it cannot be fetched or `signal` is aborted.
 */
export type CompleteIndex = (slot: number, signal: AbortSignal) => Promise<void>

export interface ParkedRequestsModules {
  readonly completeIndex: CompleteIndex
  /** Opens the dispatcher that answers the requests. Called when the first answer is due. */
  readonly openDispatcher: () => Dispatcher
  readonly stats: StatsRow
  readonly log: Log
}

/** Requests that may wait at a time. Each blocks one thread; the kernel sets no other limit. */
const MAX_PARKED = 16_384
/** Trees remembered because the log already says that their index cannot be fetched. */
const MAX_LOGGED = 1_024

export class ParkedRequests {
  readonly #modules: ParkedRequestsModules
  /** One controller for each request that waits. */
  readonly #aborts = new Set<AbortController>()
  readonly #killed = new KilledWaiters()
  readonly #deadlineMs: number
  readonly #logged = new LRUCache<number, true>({ max: MAX_LOGGED })
  #dispatcher: Dispatcher | undefined
  #isAbandoned = false
  #answeringSinceMs: number | undefined

  /** `deadlineMs`: longest time from a request to its answer. */
  constructor(options: { deadlineMs: number }, modules: ParkedRequestsModules) {
    this.#deadlineMs = options.deadlineMs
    this.#modules = modules
  }

  /**
   * How long the request that is being answered now has waited. 0 while no request is being
   * answered.
   */
  get waitedMs(): number {
    return this.#answeringSinceMs === undefined ? 0 : performance.now() - this.#answeringSinceMs
  }

  /** Number of requests that wait. */
  get pending(): number {
    return this.#aborts.size
  }

  /** Takes over a request and answers it, with an errno when it fails. Never throws. */
  take(parked: ParkedRequest): void {
    if (this.#isAbandoned) return
    if (this.pending >= MAX_PARKED) {
      const message = `${MAX_PARKED} requests wait for an index already`
      this.#modules.stats.countRefused()
      this.#refuse(parked, new FusefsError('overloaded', message))
      return
    }
    const { pid, unique } = parked
    const abort = new AbortController()
    this.#aborts.add(abort)
    this.#killed.add(unique, { pid, abort })
    const scope = requestDeadline(abort.signal, { deadlineMs: this.#deadlineMs })
    void this.#answer(parked, scope.signal).finally(() => {
      scope.close()
      this.#aborts.delete(abort)
      this.#killed.remove(unique)
    })
  }

  /** Call this when a signal hit the thread that waits for this request; see `KilledWaiters`. */
  interrupt(unique: Unique): void {
    this.#killed.interrupt(unique)
  }

  /** Answers a request with an errno because the whole index, too, lacks the part that it needs. */
  giveUp(parked: ParkedRequest): void {
    this.#refuse(parked, new FusefsError('tree-unavailable', 'the whole index lacks a part'))
  }

  /** Stops without answering the requests. The next server asks the kernel for them again. */
  abandon(): void {
    this.#isAbandoned = true
    for (const abort of this.#aborts) abort.abort()
  }

  async #answer(parked: ParkedRequest, signal: AbortSignal): Promise<void> {
    const sinceMs = performance.now()
    try {
      await patiently(() => this.#modules.completeIndex(parked.slot, signal), { signal })
    } catch (error) {
      // A thread that was killed also waits for an answer and can end only then.
      if (!this.#isAbandoned) this.#refuse(parked, signal.aborted ? signal.reason : error)
      return
    }
    if (this.#isAbandoned) return
    this.#logged.delete(parked.slot)
    this.#answeringSinceMs = sinceMs
    this.#load(parked).serve(parked.request.length)
    this.#answeringSinceMs = undefined
  }

  #refuse(parked: ParkedRequest, cause: unknown): void {
    const { slot, request } = parked
    if (isFault(cause) && !this.#logged.has(slot)) {
      this.#logged.set(slot, true)
      this.#modules.log.error(
        { ...fieldsOfError(cause), slot },
        'requests wait for an index that cannot be had',
      )
    }
    this.#load(parked).refuse(request.length, cause)
  }

  #load({ request }: ParkedRequest): Dispatcher {
    const dispatcher = (this.#dispatcher ??= this.#modules.openDispatcher())
    dispatcher.buffer.set(request)
    return dispatcher
  }
}
