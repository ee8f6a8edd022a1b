/**
 * All limits of the content tiers, with their defaults. Each can be overridden when a store or
 * source is created. None can be switched off.
 */
import {
  type ConnectionLimits,
  DEFAULT_CONNECTION_LIMITS,
  type ExchangeLimits,
  type RangeLimits,
} from '../http/http-limits.js'
import type { RedirectMemoryLimits } from '../http/redirect-memory.js'

/** Limits of requests to one store over HTTP. */
export interface HttpLimits
  extends ConnectionLimits, ExchangeLimits, RangeLimits, RedirectMemoryLimits {
  /**
   * Time limit for one range, retries and waits included, plus the time of the transfer at
   * `slowestBytesPerSecond`. Default 60,000.
   */
  readonly rangeDeadlineMs: number
  /**
   * How long reads try again after a failure that may pass: a refused or broken connection, a
   * timeout, status 429 or 5xx. Default 0: a read fails after `maxAttempts`.
   */
  readonly retryForMs: number
  /** Transfer rate with which `rangeDeadlineMs` is extended. Default 64 KiB/s. */
  readonly slowestBytesPerSecond: number
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  ...DEFAULT_CONNECTION_LIMITS,
  rangeDeadlineMs: 60_000,
  retryForMs: 0,
  slowestBytesPerSecond: 64 * 1024,
  maxAttempts: 5,
  minProgressBytes: 64 * 1024,
  backOffBaseMs: 100,
  backOffCapMs: 5_000,
  retryAfterCapMs: 20_000,
  maxRedirects: 5,
  redirectMemoryMs: 60_000,
  maxRememberedRedirects: 4_096,
  maxSkippedBytes: 256 * 1024 * 1024,
}

/** Limits of the choice between several stores of the same content. */
export interface FailoverLimits {
  /**
   * How long a store that failed is asked last. Doubles with each failure in a row. Also how long a
   * store that sent wrong bytes is asked last for that blob. Default 30,000.
   */
  readonly penaltyMs: number
  /** The longest penalty. Default 600,000. */
  readonly maxPenaltyMs: number
  /** Blobs for which it is remembered that a store sent wrong bytes. Default 1,024. */
  readonly maxDistrustedBlobs: number
}

export const DEFAULT_FAILOVER_LIMITS: FailoverLimits = {
  penaltyMs: 30_000,
  maxPenaltyMs: 600_000,
  maxDistrustedBlobs: 1_024,
}

/** Limits of fetching and caching frames. */
export interface ContentLimits {
  /** Uncompressed bytes kept on disk. Default 10 GiB. */
  readonly maxBytes: number
  /** Uncompressed bytes of frames kept in memory. Default 64 MiB. */
  readonly memoryBytes: number
  /**
   * Limit of the range requests under way at one origin, and of the range requests with progress at
   * all origins together. A read may exceed the second limit if its origin has no request with
   * progress. Default 8.
   */
  readonly maxConcurrentFetches: number
  /**
   * A range request that receives nothing for this long counts only at its own origin. Default
   * 1,000.
   */
  readonly noProgressMs: number
  /** Range requests under way for prefetch. Default 6, so that two of the 8 are left for reads. */
  readonly maxConcurrentPrefetches: number
  /**
   * Compressed bytes between two wanted frames. Up to this number they are fetched and dropped, to
   * save a request. Default 64 KiB.
   */
  readonly maxGapBytes: number
  /** Compressed bytes of one range request for reads. Default 8 MiB. */
  readonly maxReadRangeBytes: number
  /** Compressed bytes of one range request for prefetch. Default 128 MiB, enough for any pack. */
  readonly maxPrefetchRangeBytes: number
  /** Compressed bytes of one range request that completes an image. Default 16 MiB. */
  readonly maxBackgroundRangeBytes: number
  /** Compressed bytes fetched ahead of one sequential reader. Default 8 MiB. */
  readonly maxAheadBytes: number
  /** Compressed bytes per second for prefetch. Default: no limit in effect. */
  readonly prefetchBytesPerSecond: number
  /** Compressed bytes per second for completing images. Default: no limit in effect. */
  readonly backgroundBytesPerSecond: number
  /** Frames waiting to be fetched. Reads and prefetch of further frames fail. Default 65,536. */
  readonly maxQueuedFrames: number
  /** Packs kept on disk. Even a small one takes inodes and a few blocks. Default 65,536. */
  readonly maxPacks: number
  /** Mirrors with an open descriptor. The least recently used are closed first. Default 4,096. */
  readonly maxOpenMirrors: number
  /** Decoded bytes waiting to be written to disk. Above it, fetching pauses. Default 64 MiB. */
  readonly maxUnwrittenBytes: number
  /** How long nothing is written to the disk after it refused a write. Default 15,000. */
  readonly diskRetryMs: number
  /** Interval at which the presence of frames is saved while the store is open. Default 3,000. */
  readonly saveIntervalMs: number
  /**
   * How long the descriptor of an evicted or surplus mirror stays open, for readers in the middle
   * of a read. Default 30,000.
   */
  readonly retireDelayMs: number
  /**
   * After a permanent failure, reads of the same content fail at once for this long. Default 1,000.
   */
  readonly knownFailureMs: number
  /** How long the same failure of the same blob is not logged again. Default 60,000. */
  readonly logWindowMs: number
}

export const DEFAULT_CONTENT_LIMITS: ContentLimits = {
  maxBytes: 10 * 1024 ** 3,
  memoryBytes: 64 * 1024 * 1024,
  maxConcurrentFetches: 8,
  noProgressMs: 1_000,
  maxConcurrentPrefetches: 6,
  maxGapBytes: 64 * 1024,
  maxReadRangeBytes: 8 * 1024 * 1024,
  maxPrefetchRangeBytes: 128 * 1024 * 1024,
  maxBackgroundRangeBytes: 16 * 1024 * 1024,
  maxAheadBytes: 8 * 1024 * 1024,
  prefetchBytesPerSecond: Number.MAX_SAFE_INTEGER,
  backgroundBytesPerSecond: Number.MAX_SAFE_INTEGER,
  maxQueuedFrames: 65_536,
  maxPacks: 65_536,
  maxOpenMirrors: 4_096,
  maxUnwrittenBytes: 64 * 1024 * 1024,
  diskRetryMs: 15_000,
  saveIntervalMs: 3_000,
  retireDelayMs: 30_000,
  knownFailureMs: 1_000,
  logWindowMs: 60_000,
}

/** Failures remembered in order not to log them again. The least recent are forgotten first. */
export const MAX_REMEMBERED_FAULTS = 1_000

/** Size of one piece that a `file:` store yields. */
export const FILE_PIECE_BYTES = 1024 * 1024
