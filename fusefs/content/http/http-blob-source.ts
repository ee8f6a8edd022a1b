/**
 * A store behind HTTP: a registry's blobs or a static server's files. Retries are here: every
 * attempt goes on from the byte the last one reached, and everything together has a deadline.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Agent } from 'undici'
import type { Digest } from '../../../index-format/index.js'
import { FusefsError } from '../../errors.js'
import type { Log } from '../../log.js'
import type { Authorizer, BlobRange, BlobSource } from '../blob-source.js'
import type { ContentStats } from '../content-stats.js'
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from '../content-limits.js'
import { ScopedSignal } from '../scoped-signal.js'
import { blobUrl, type StoreUrl } from '../store-url.js'
import { createHttpAgent } from './http-agent.js'
import { failureFromError, fusefsErrorFrom, type HttpFailure } from './http-failure.js'
import { RangeClient } from './range-client.js'

type HttpStoreUrl = StoreUrl & { kind: 'registry' | 'static' }

export interface HttpBlobSourceModules {
  readonly authorizer?: Authorizer | undefined
  readonly log: Log
  readonly stats: ContentStats
  /** Shared connections, closed by their owner. Without it the source has, and closes, its own. */
  readonly agent?: Agent | undefined
}

export class HttpBlobSource implements BlobSource {
  readonly name: string
  readonly #url: HttpStoreUrl
  readonly #limits: HttpLimits
  readonly #client: RangeClient
  readonly #stats: ContentStats
  readonly #ownAgent: Agent | undefined

  private constructor(url: HttpStoreUrl, limits: HttpLimits, modules: HttpBlobSourceModules) {
    this.name = url.name
    this.#url = url
    this.#limits = limits
    this.#stats = modules.stats
    const agent = modules.agent ?? createHttpAgent({ limits })
    this.#ownAgent = modules.agent === undefined ? agent : undefined
    this.#client = new RangeClient(limits, {
      agent,
      authorizer: modules.authorizer,
      log: modules.log,
      stats: modules.stats,
    })
  }

  /** Connects to nothing yet. */
  static create(
    options: { url: HttpStoreUrl; limits?: Partial<HttpLimits> | undefined },
    modules: HttpBlobSourceModules,
  ): HttpBlobSource {
    return new HttpBlobSource(options.url, { ...DEFAULT_HTTP_LIMITS, ...options.limits }, modules)
  }

  async *stream(
    range: BlobRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const limits = this.#limits
    const home = blobUrl(this.#url, range.digest)
    const subject = `store ${this.name}, blob ${range.digest}`
    const deadlineMs = limits.rangeDeadlineMs + (range.length / limits.slowestBytesPerSecond) * 1000
    const scope = new ScopedSignal(signal, { timeoutMs: Math.ceil(deadlineMs) })
    let reached = 0
    let attempts = 0
    try {
      while (reached < range.length) {
        const before = reached
        let failure: HttpFailure
        try {
          const rest = { ...range, offset: range.offset + reached, length: range.length - reached }
          for await (const piece of this.#client.fetch(home, rest, scope.signal)) {
            reached += piece.length
            yield piece
          }
          continue
        } catch (error) {
          throwIfStopped({ signal, scope, subject, deadlineMs, cause: error })
          failure = failureFromError(home, error, reached > 0)
        }
        if (reached - before >= limits.minProgressBytes) attempts = 0
        attempts++
        if (!failure.retryable || attempts >= limits.maxAttempts) {
          throw fusefsErrorFrom(failure, subject)
        }
        this.#stats.httpRetries++
        try {
          await sleep(this.#waitMs(attempts, failure), undefined, { signal: scope.signal })
        } catch {
          throwIfStopped({ signal, scope, subject, deadlineMs, cause: failure })
        }
      }
    } finally {
      scope.close()
    }
  }

  distrust(digest: Digest): void {
    this.#client.forget(digest)
  }

  async close(): Promise<void> {
    if (this.#ownAgent !== undefined && !this.#ownAgent.destroyed) await this.#ownAgent.destroy()
  }

  /** Exponential, with full jitter: a thousand hosts that failed together must not come back together. */
  #waitMs(attempts: number, failure: HttpFailure): number {
    const { backOffBaseMs, backOffCapMs, retryAfterCapMs } = this.#limits
    const ceiling = Math.min(backOffCapMs, backOffBaseMs * 2 ** (attempts - 1))
    return Math.min(failure.retryAfterMs, retryAfterCapMs) + Math.random() * ceiling
  }
}

function throwIfStopped(attempt: {
  signal: AbortSignal
  scope: ScopedSignal
  subject: string
  deadlineMs: number
  cause: unknown
}): void {
  const { signal, scope, subject, deadlineMs, cause } = attempt
  if (signal.aborted)
    throw new FusefsError('aborted', `${subject}: given up by the caller`, { cause })
  if (!scope.timedOut) return
  const seconds = Math.ceil(deadlineMs / 1000)
  throw new FusefsError('fetch-timeout', `${subject}: not there after ${seconds} s`, { cause })
}
