/**
 * Every bound of the content tiers, with its default. Each can be overridden where the thing is
 * created; none can be switched off.
 */
import {
  type ConnectionLimits,
  DEFAULT_CONNECTION_LIMITS,
  type ExchangeLimits,
  type RangeLimits,
} from '../http/http-limits.js'
import type { RedirectMemoryLimits } from '../http/redirect-memory.js'

/** How a store is asked over HTTP. */
export interface HttpLimits
  extends ConnectionLimits, ExchangeLimits, RangeLimits, RedirectMemoryLimits {
  /** Everything for one range, retries and waits included; the transfer itself comes on top. Default 60,000. */
  readonly rangeDeadlineMs: number
  /** The slowest transfer that `rangeDeadlineMs` is extended for. Default 64 KiB/s. */
  readonly slowestBytesPerSecond: number
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  ...DEFAULT_CONNECTION_LIMITS,
  rangeDeadlineMs: 60_000,
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

/** How several stores of the same content are chosen from. */
export interface FailoverLimits {
  /** How long a store that failed is asked last; doubles with each failure in a row. Default 30,000. */
  readonly penaltyMs: number
  /** Default 600,000. */
  readonly maxPenaltyMs: number
  /** Blobs for which a store that sent wrong bytes is remembered. Default 1,024. */
  readonly maxDistrustedBlobs: number
}

export const DEFAULT_FAILOVER_LIMITS: FailoverLimits = {
  penaltyMs: 30_000,
  maxPenaltyMs: 600_000,
  maxDistrustedBlobs: 1_024,
}

/** How frames are fetched and kept. */
export interface ContentLimits {
  /** Uncompressed bytes kept on disk. Default 10 GiB. */
  readonly maxBytes: number
  /** Uncompressed bytes of frames kept in memory. Default 64 MiB. */
  readonly memoryBytes: number
  /** Range requests under way. Default 8. */
  readonly maxConcurrentFetches: number
  /** Of those, how many may serve prefetch. Default 6: a read never waits for prefetch to end. */
  readonly maxConcurrentPrefetches: number
  /** Compressed bytes between two wanted frames that are fetched and dropped to save a request. Default 64 KiB. */
  readonly maxGapBytes: number
  /** Compressed bytes of one range request for reads. Default 8 MiB. */
  readonly maxReadRangeBytes: number
  /** Compressed bytes of one range request for prefetch. Default 128 MiB: any pack as a whole. */
  readonly maxPrefetchRangeBytes: number
  /** Compressed bytes of one range request that completes an image. Default 16 MiB. */
  readonly maxBackgroundRangeBytes: number
  /** Compressed bytes fetched ahead of somebody who reads in sequence. Default 8 MiB. */
  readonly maxAheadBytes: number
  /** Compressed bytes that prefetch takes from the network. Default: as much as there is. */
  readonly prefetchBytesPerSecond: number
  /** The same for completing images. */
  readonly backgroundBytesPerSecond: number
  /** Frames waiting to be fetched; above it prefetch and reads are refused. Default 65,536. */
  readonly maxQueuedFrames: number
  /** Packs kept on disk, however small: each takes an inode and a few blocks. Default 65,536. */
  readonly maxPacks: number
  /** Mirrors with an open descriptor; beyond it the least recently used are closed. Default 4,096. */
  readonly maxOpenMirrors: number
  /** Decoded bytes waiting to be written to disk; above it fetching pauses. Default 64 MiB. */
  readonly maxUnwrittenBytes: number
  /** How long the disk is left alone after it refused a write. Default 15,000. */
  readonly diskRetryMs: number
  /** How often the presence of frames is saved while the store is open. Default 3,000. */
  readonly saveIntervalMs: number
  /** How long an evicted mirror's descriptor stays open for readers that are in between. Default 30,000. */
  readonly retireDelayMs: number
  /** How long the same failure of the same blob is counted but not logged again. Default 60,000. */
  readonly logWindowMs: number
}

export const DEFAULT_CONTENT_LIMITS: ContentLimits = {
  maxBytes: 10 * 1024 ** 3,
  memoryBytes: 64 * 1024 * 1024,
  maxConcurrentFetches: 8,
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
  logWindowMs: 60_000,
}

/** Failures remembered so that each is logged once; the oldest are forgotten first. */
export const MAX_REMEMBERED_FAULTS = 1_000

/** Bytes of one piece that a `file:` store hands on. */
export const FILE_PIECE_BYTES = 1024 * 1024
