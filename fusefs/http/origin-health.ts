/**
 * The health of one server. A server that is known to fail gets at most one request a second from
 * all callers together: a probe. All other requests fail at once and may be tried again. The first
 * answer of the server ends this state.
 */
import { LRUCache } from 'lru-cache'
import type { Log } from '../log.js'
import type { HttpCounters } from './http-counters.js'
import { HttpFailure } from './http-failure.js'

export interface OriginHealthOptions {
  /** Failures in a row, without an answer between them, after which a server is known to fail. */
  readonly maxAttempts: number
  /** The longest `Retry-After` that is honoured between two probes. */
  readonly retryAfterCapMs: number
}

export interface OriginHealthModules {
  readonly counters: Pick<HttpCounters, 'httpRefusals'>
  /** Gets a line when a server begins to fail, and a line when it answers again. */
  readonly log: Log
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: (() => number) | undefined
  /** From 0 to below 1. Default `Math.random`. */
  readonly random?: (() => number) | undefined
}

/** Shortest time between two probes. A random part of `PROBE_JITTER_MS` is added. */
const PROBE_INTERVAL_MS = 1_000
const PROBE_JITTER_MS = 250
const MAX_ORIGINS = 1_024

export class OriginHealth {
  readonly #origin: string
  readonly #options: OriginHealthOptions
  readonly #modules: OriginHealthModules
  readonly #now: () => number
  #failuresInARow = 0
  #answeredAtMs = -Infinity
  /** The last failure. Undefined while the server is not known to fail. */
  #failure: HttpFailure | undefined
  #nextProbeAtMs = 0

  constructor(origin: string, options: OriginHealthOptions, modules: OriginHealthModules) {
    this.#origin = origin
    this.#options = options
    this.#modules = modules
    this.#now = modules.now ?? (() => performance.now())
  }

  /**
   * Call this before each request. Returns `refusal`, the failure of the request, if the request
   * must not be sent now. Otherwise, returns `sinceMs`: send the request, and call `answered`, or
   * `failed` with this time, when the outcome is known.
   */
  admit(): { readonly sinceMs: number } | { readonly refusal: HttpFailure } {
    const nowMs = this.#now()
    const failure = this.#failure
    if (failure === undefined) return { sinceMs: nowMs }
    if (nowMs < this.#nextProbeAtMs) {
      this.#modules.counters.httpRefusals++
      const message = `${this.#origin} is known to fail, not asked again yet: ${failure.message}`
      const options = { retryable: false, status: failure.status, cause: failure }
      return { refusal: new HttpFailure('known-failing', message, options) }
    }
    this.#planProbe(nowMs, failure)
    return { sinceMs: nowMs }
  }

  /** Call this when the server has sent bytes, or an answer that it does not have them. */
  answered(): void {
    this.#answeredAtMs = this.#now()
    this.#failuresInARow = 0
    if (this.#failure === undefined) return
    this.#failure = undefined
    this.#modules.log.info({ origin: this.#origin }, 'store answers again')
  }

  /** Call this when a request that was admitted at `sinceMs` has failed. */
  failed(failure: HttpFailure, sinceMs: number): void {
    if (!failure.retryable) {
      // A final failure with a status is an answer. A bad certificate, for example, has no status.
      if (failure.status > 0) this.answered()
      return
    }
    // The server has answered another request since then, so it does not fail in general.
    if (sinceMs < this.#answeredAtMs) return
    this.#failuresInARow++
    if (this.#failure === undefined) {
      // One timeout is enough, because its wait was long.
      const isKnown =
        failure.reason === 'timeout' || this.#failuresInARow >= this.#options.maxAttempts
      if (!isKnown) return
      this.#modules.log.warn(
        { origin: this.#origin, reason: failure.message },
        'store is known to fail, asked once a second from now on',
      )
      this.#planProbe(this.#now(), failure)
    }
    this.#failure = failure
    this.#honour(failure.retryAfterMs)
  }

  #planProbe(nowMs: number, failure: HttpFailure): void {
    const jitterMs = PROBE_JITTER_MS * (this.#modules.random ?? Math.random)()
    this.#nextProbeAtMs = nowMs + PROBE_INTERVAL_MS + jitterMs
    this.#failure = failure
  }

  #honour(retryAfterMs: number): void {
    const waitMs = Math.min(retryAfterMs, this.#options.retryAfterCapMs)
    this.#nextProbeAtMs = Math.max(this.#nextProbeAtMs, this.#now() + waitMs)
  }
}

/** The health of all servers. All readers share one instance. */
export class OriginHealths {
  readonly #options: OriginHealthOptions
  readonly #modules: OriginHealthModules
  readonly #origins = new LRUCache<string, OriginHealth>({ max: MAX_ORIGINS })

  constructor(options: OriginHealthOptions, modules: OriginHealthModules) {
    this.#options = options
    this.#modules = modules
  }

  of(origin: string): OriginHealth {
    const known = this.#origins.get(origin)
    if (known !== undefined) return known
    const health = new OriginHealth(origin, this.#options, this.#modules)
    this.#origins.set(origin, health)
    return health
  }
}
