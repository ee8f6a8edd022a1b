/**
 * Requests whose answer lies in a part of an index that is not here yet. They wait for the whole index,
 * and are then answered by a dispatcher of the server's own thread.
 */
import { LRUCache } from 'lru-cache'
import { FusefsError } from '../errors.js'
import type { Log } from '../log.js'
import type { Dispatcher } from './dispatcher.js'
import type { ParkedRequest } from './dispatcher-messages.js'

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
  readonly #abort = new AbortController()
  readonly #logged = new LRUCache<number, true>({ max: MAX_LOGGED })
  #dispatcher: Dispatcher | undefined
  #pending = 0

  constructor(modules: ParkedRequestsModules) {
    this.#modules = modules
  }

  /** Requests that wait. */
  get pending(): number {
    return this.#pending
  }

  /** Takes over a request. Never throws; whoever asks gets an answer, an errno if need be. */
  take(parked: ParkedRequest): void {
    if (this.#abort.signal.aborted) return
    if (this.#pending >= MAX_PARKED) {
      this.#refuse(
        parked,
        new FusefsError('tree-unavailable', `${MAX_PARKED} requests wait already`),
      )
      return
    }
    this.#pending++
    void this.#answer(parked).finally(() => {
      this.#pending--
    })
  }

  /** Answers a request that was answered once, and could not be even then. */
  giveUp(parked: ParkedRequest): void {
    this.#refuse(parked, new FusefsError('tree-unavailable', 'the whole index lacks a part'))
  }

  /** Stops without answering what is left: the next server will ask the kernel for it again. */
  abandon(): void {
    this.#abort.abort()
  }

  async #answer(parked: ParkedRequest): Promise<void> {
    const { signal } = this.#abort
    try {
      await this.#modules.completeIndex(parked.slot, signal)
    } catch (error) {
      if (!signal.aborted) this.#refuse(parked, error)
      return
    }
    if (signal.aborted) return
    this.#logged.delete(parked.slot)
    this.#load(parked).serve(parked.request.length)
  }

  #refuse(parked: ParkedRequest, cause: unknown): void {
    const { slot, request } = parked
    if (!this.#logged.has(slot)) {
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
