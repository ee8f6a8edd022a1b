/**
 * Several stores of the same content as one source. They are asked in order. A store that failed is
 * asked last for a while. A store that sent wrong bytes of a blob is asked last for that blob for a
 * while. When a stream breaks, the next store continues it from the byte that it reached.
 */
import { LRUCache } from 'lru-cache'
import type { Digest } from '../../index-format/index.js'
import { FusefsError } from '../errors.js'
import { HttpFailure } from '../http/http-failure.js'
import type { Log } from '../log.js'
import { fieldsOfError } from '../shown-error.js'
import type { BlobRange, BlobSource } from './blob-source.js'
import type { ContentStats } from './content-stats.js'
import { DEFAULT_FAILOVER_LIMITS, type FailoverLimits } from './content-limits.js'

/** The penalty of a store that failed recently. */
interface Penalty {
  readonly failuresInARow: number
  /** When the store is asked in its turn again, in milliseconds of the clock. */
  readonly endsAtMs: number
}

export interface FailoverSourceModules {
  readonly log: Log
  readonly stats: ContentStats
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: () => number
}

export class FailoverSource implements BlobSource {
  readonly name: string
  /** The origins of all stores, because a request moves from one to the next. */
  readonly origin: string
  readonly #sources: readonly BlobSource[]
  readonly #limits: FailoverLimits
  readonly #log: Log
  readonly #stats: ContentStats
  readonly #now: () => number
  readonly #penalties = new Map<BlobSource, Penalty>()
  readonly #distrusted: LRUCache<Digest, Set<BlobSource>>
  readonly #lastUsed: LRUCache<Digest, BlobSource>

  private constructor(
    options: { sources: readonly BlobSource[]; limits: FailoverLimits },
    modules: FailoverSourceModules,
  ) {
    this.name = options.sources.map((source) => source.name).join(', ')
    this.origin = [...new Set(options.sources.map((source) => source.origin))].join(' ')
    this.#sources = options.sources
    this.#limits = options.limits
    this.#log = modules.log
    this.#stats = modules.stats
    this.#now = modules.now ?? (() => performance.now())
    const max = options.limits.maxDistrustedBlobs
    const ttl = options.limits.penaltyMs
    // Without a resolution the cache remembers the time it last saw for a moment of real time.
    this.#distrusted = new LRUCache({ max, ttl, ttlResolution: 0, perf: { now: this.#now } })
    this.#lastUsed = new LRUCache({ max })
  }

  /** Takes over the sources: `close` closes them. Throws `invalid-argument` when there are none. */
  static create(
    options: { sources: readonly BlobSource[]; limits?: Partial<FailoverLimits> },
    modules: FailoverSourceModules,
  ): FailoverSource {
    if (options.sources.length === 0) {
      throw new FusefsError('invalid-argument', 'no store to fetch from: at least one is needed')
    }
    const limits = { ...DEFAULT_FAILOVER_LIMITS, ...options.limits }
    return new FailoverSource({ sources: options.sources, limits }, modules)
  }

  async *stream(
    range: BlobRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const failures: FusefsError[] = []
    let reached = 0
    for (const source of this.#inOrder(range.digest)) {
      // It is better to wait for a store that may answer again than to ask one that sent wrong
      // bytes.
      const isDistrusted = this.#distrusted.get(range.digest)?.has(source) === true
      if (isDistrusted && failures.some((failure) => failure.retryForMs > 0)) break
      if (failures.length > 0) this.#stats.failovers++
      this.#lastUsed.set(range.digest, source)
      try {
        const rest = {
          digest: range.digest,
          offset: range.offset + reached,
          length: range.length - reached,
        }
        for await (const piece of source.stream(rest, signal)) {
          reached += piece.length
          yield piece
        }
        this.#penalties.delete(source)
        return
      } catch (error) {
        if (!(error instanceof FusefsError) || error.code === 'aborted') throw error
        failures.push(error)
        this.#noteFailure(source, error)
      }
    }
    throw failureOf(range.digest, failures)
  }

  distrust(digest: Digest): boolean {
    const source = this.#lastUsed.get(digest)
    if (source === undefined) return false
    source.distrust(digest)
    const sources = this.#distrusted.get(digest) ?? new Set()
    const wasTrusted = !sources.has(source)
    sources.add(source)
    this.#distrusted.set(digest, sources)
    return wasTrusted && sources.size < this.#sources.length
  }

  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()))
  }

  #inOrder(digest: Digest): BlobSource[] {
    const now = this.#now()
    const distrusted = this.#distrusted.get(digest)
    const rank = (source: BlobSource): number =>
      (distrusted?.has(source) === true ? 2 : 0) +
      ((this.#penalties.get(source)?.endsAtMs ?? 0) > now ? 1 : 0)
    return [...this.#sources].sort((a, b) => rank(a) - rank(b))
  }

  #noteFailure(source: BlobSource, error: FusefsError): void {
    // A store that lacks one blob works as it should, and may have the others: no penalty.
    if (error.code === 'blob-not-found') return
    const now = this.#now()
    const previous = this.#penalties.get(source)
    if ((previous?.endsAtMs ?? 0) <= now) {
      this.#log.warn(
        { store: source.name, ...fieldsOfError(error) },
        'store failed, asked last for a while',
      )
    }
    // A refusal is not a new failure: the store was not asked, because it is known to fail.
    const newFailures = isRefusal(error) ? 0 : 1
    const failuresInARow = Math.max(1, (previous?.failuresInARow ?? 0) + newFailures)
    const { penaltyMs, maxPenaltyMs } = this.#limits
    const endsAtMs = now + Math.min(maxPenaltyMs, penaltyMs * 2 ** Math.min(failuresInARow - 1, 30))
    this.#penalties.set(source, { failuresInARow, endsAtMs })
  }
}

/** Whether the store was not asked, because it is known to fail. */
function isRefusal({ cause }: FusefsError): boolean {
  return cause instanceof HttpFailure && cause.reason === 'known-failing'
}

/** The error for the failures of all stores: `blob-not-found` only when every store said so. */
function failureOf(digest: Digest, failures: readonly FusefsError[]): FusefsError {
  const worst = failures.find((failure) => failure.code !== 'blob-not-found') ?? failures[0]
  if (failures.length === 1 && worst !== undefined) return worst
  const reasons = failures.map((failure) => failure.message).join('; ')
  return new FusefsError(
    worst?.code ?? 'fetch-failed',
    `blob ${digest}, no store has it: ${reasons}`,
    {
      cause: new AggregateError(failures),
      // A store that may answer again may have the blob, even if the other stores do not have it.
      retryForMs: Math.max(...failures.map((failure) => failure.retryForMs)),
    },
  )
}
