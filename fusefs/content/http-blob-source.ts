/** A store behind HTTP: a registry's blobs or a static server's files. */
import type { Agent } from 'undici'
import type { Digest } from '../../index-format/index.js'
import { FusefsError, type FusefsErrorCode } from '../errors.js'
import type { Authorizer } from '../http/authorizer.js'
import { createHttpAgent } from '../http/http-agent.js'
import { HttpClient } from '../http/http-client.js'
import { HttpFailure } from '../http/http-failure.js'
import type { OriginHealths } from '../http/origin-health.js'
import { RangeReader } from '../http/range-reader.js'
import { RedirectMemory } from '../http/redirect-memory.js'
import type { Timing } from '../http/timing.js'
import type { Log } from '../log.js'
import type { BlobRange, BlobSource } from './blob-source.js'
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from './content-limits.js'
import type { ContentStats } from './content-stats.js'
import { blobUrl, originOf, type StoreUrl } from './store-url.js'

type HttpStoreUrl = StoreUrl & { kind: 'registry' | 'static' }

export interface HttpBlobSourceModules {
  readonly authorizer?: Authorizer | undefined
  readonly log: Log
  readonly stats: ContentStats
  /** Shared connections; their owner closes them. Default: the source opens and closes its own. */
  readonly agent?: Agent | undefined
  /** The health of all servers; all sources share it. Default: failures are not remembered. */
  readonly healths?: OriginHealths | undefined
  /** Default: the system's. */
  readonly timing?: Timing | undefined
}

export class HttpBlobSource implements BlobSource {
  readonly name: string
  readonly origin: string
  readonly #url: HttpStoreUrl
  readonly #limits: HttpLimits
  readonly #redirects: RedirectMemory
  readonly #ranges: RangeReader
  readonly #ownAgent: Agent | undefined

  private constructor(url: HttpStoreUrl, limits: HttpLimits, modules: HttpBlobSourceModules) {
    this.name = url.name
    this.origin = originOf(url)
    this.#url = url
    this.#limits = limits
    const { authorizer, log, stats, timing } = modules
    const agent = modules.agent ?? createHttpAgent({ limits })
    this.#ownAgent = modules.agent === undefined ? agent : undefined
    this.#redirects = new RedirectMemory(limits)
    const client = new HttpClient(
      { limits },
      { dispatcher: agent, authorizer, counters: stats, timing },
    )
    const redirects = this.#redirects
    const health = modules.healths?.of(this.origin)
    this.#ranges = new RangeReader(limits, { client, counters: stats, log, health, redirects })
  }

  /** Opens no connection yet. The caller closes the source. */
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
    const { rangeDeadlineMs, slowestBytesPerSecond } = this.#limits
    const { offset, length } = range
    const url = blobUrl(this.#url, range.digest)
    const deadlineMs = rangeDeadlineMs + (length / slowestBytesPerSecond) * 1000
    try {
      yield* this.#ranges.stream({ url, offset, length, extent: 'exact', deadlineMs, signal })
    } catch (error) {
      if (!(error instanceof HttpFailure)) throw error
      const message = `store ${this.name}, blob ${range.digest}: ${error.message}`
      const retryForMs = mayPass(error) ? this.#limits.retryForMs : 0
      throw new FusefsError(codeOf(error), message, { cause: error, retryForMs })
    }
  }

  distrust(digest: Digest): boolean {
    this.#redirects.forget(blobUrl(this.#url, digest))
    return false
  }

  async close(): Promise<void> {
    if (this.#ownAgent !== undefined && !this.#ownAgent.destroyed) await this.#ownAgent.destroy()
  }
}

function codeOf(failure: HttpFailure): FusefsErrorCode {
  switch (failure.reason) {
    case 'status':
      return isAbsent(failure.status) ? 'blob-not-found' : 'fetch-failed'
    case 'timeout':
    case 'deadline':
      return 'fetch-timeout'
    case 'broken-off':
      return 'truncated-answer'
    case 'aborted':
      return 'aborted'
    case 'known-failing':
      return failure.cause instanceof HttpFailure ? codeOf(failure.cause) : 'fetch-failed'
    case 'unreachable':
    case 'unusable-answer':
    case 'too-large':
    case 'redirect':
    case 'address':
    case 'credentials':
      return 'fetch-failed'
  }
}

/** Whether a later request for the same range may succeed. */
function mayPass(failure: HttpFailure): boolean {
  return failure.retryable || failure.reason === 'deadline' || failure.reason === 'known-failing'
}

/** There is no such blob, or it ends before the range. */
function isAbsent(status: number): boolean {
  return status === 404 || status === 410 || status === 416
}
