/**
 * Requests whose answer lies in a part of an index that is not here yet. They wait for the whole index,
 * and are then answered by a dispatcher of the server's own thread.
 */
import { LRUCache } from 'lru-cache'
import { FusefsError } from '../errors.js'
import { isFault } from '../filesystem/errno.js'
import type { Log } from '../log.js'
import type { Dispatcher } from './dispatcher.js'
import type { ParkedRequest, Unique } from './dispatcher-messages.js'
import { KilledWaiters } from './killed-waiters.js'

/** Brings the rest of a tree's index; resolves when the whole of it is here. Throws where it cannot be had. */
export type CompleteIndex = (slot: number, signal: AbortSignal) => Promise<void>

export interface ParkedRequestsModules {
  readonly completeIndex: CompleteIndex
  /** Answers what is put into its buffer; made when the first request is. */
  readonly openDispatcher: () => Dispatcher
  readonly log: Log
}

/** One for each thread that waits; the kernel bounds them, but not by a number. */
const MAX_PARKED = 16_384
/** Trees of which it was logged that their index cannot be had. */
const MAX_LOGGED = 1_024

export class ParkedRequests {
  readonly #modules: ParkedRequestsModules
  /** One for each request that waits. */
  readonly #aborts = new Set<AbortController>()
  readonly #killed = new KilledWaiters()
  readonly #logged = new LRUCache<number, true>({ max: MAX_LOGGED })
  #dispatcher: Dispatcher | undefined
  #isAbandoned = false

  constructor(modules: ParkedRequestsModules) {
    this.#modules = modules
  }

  /** Requests that wait. */
  get pending(): number {
    return this.#aborts.size
  }

  /** Takes over a request. Never throws; whoever asks gets an answer, an errno if need be. */
  take(parked: ParkedRequest): void {
    if (this.#isAbandoned) return
    if (this.pending >= MAX_PARKED) {
      const message = `${MAX_PARKED} requests wait for an index already`
      this.#refuse(parked, new FusefsError('tree-unavailable', message))
      return
    }
    const { pid, unique } = parked
    const abort = new AbortController()
    this.#aborts.add(abort)
    this.#killed.add(unique, { pid, abort })
    void this.#answer(parked, abort.signal).finally(() => {
      this.#aborts.delete(abort)
      this.#killed.remove(unique)
    })
  }

  /** A signal hit whoever waits; see `KilledWaiters`. */
  interrupt(unique: Unique): void {
    this.#killed.interrupt(unique)
  }

  /** Answers a request that was answered once, and could not be even then. */
  giveUp(parked: ParkedRequest): void {
    this.#refuse(parked, new FusefsError('tree-unavailable', 'the whole index lacks a part'))
  }

  /** Stops without answering what is left: the next server will ask the kernel for it again. */
  abandon(): void {
    this.#isAbandoned = true
    for (const abort of this.#aborts) abort.abort()
  }

  async #answer(parked: ParkedRequest, signal: AbortSignal): Promise<void> {
    try {
      await this.#modules.completeIndex(parked.slot, signal)
    } catch (error) {
      // Whoever was killed waits for any answer.
      if (!this.#isAbandoned) this.#refuse(parked, signal.aborted ? signal.reason : error)
      return
    }
    if (this.#isAbandoned) return
    this.#logged.delete(parked.slot)
    this.#load(parked).serve(parked.request.length)
  }

  #refuse(parked: ParkedRequest, cause: unknown): void {
    const { slot, request } = parked
    if (isFault(cause) && !this.#logged.has(slot)) {
      this.#logged.set(slot, true)
      this.#modules.log.error({ err: cause, slot }, 'requests wait for an index that cannot be had')
    }
    this.#load(parked).refuse(request.length, cause)
  }

  #load({ request }: ParkedRequest): Dispatcher {
    const dispatcher = (this.#dispatcher ??= this.#modules.openDispatcher())
    dispatcher.buffer.set(request)
    return dispatcher
  }
}
