/** Counters of the content tiers: plain numbers. The tiers increment them; anybody may read them. */
import { createHttpCounters, type HttpCounters } from '../http/http-counters.js'

export interface ContentStats extends HttpCounters {
  /** Ranges requested from stores of any kind. */
  rangesFetched: number
  /** Compressed bytes received from stores of any kind. */
  bytesFetched: number
  /** Ranges that failed after all retries. */
  fetchFailures: number
  /** Frames that failed without a request, because the same failure had just happened. */
  knownFailures: number
  /** Times that another store was asked because one had failed. */
  failovers: number
  /** Frames decoded and verified. */
  framesDecoded: number
  /** Uncompressed bytes of the frames decoded and verified. */
  bytesDecoded: number
  /** Frames from a store or from disk that failed to decode or to verify. */
  verifyFailures: number
  /** Frames that a read found in memory. */
  memoryHits: number
  /** Frames that a read found on disk. Reads by dispatcher threads are not counted. */
  diskHits: number
  /** Frames that a read had to wait for. */
  misses: number
  /** Times that a read or a prefetch wanted a frame that was already being fetched. */
  framesShared: number
  /** Frames that shared a range request with another frame. */
  framesCoalesced: number
  /** Frames that prefetch requested because they were not cached. */
  framesPrefetched: number
  /** Frames requested ahead of a sequential reader. */
  framesReadAhead: number
  /** Times that a prefetch or background transfer paused to let more urgent requests go first. */
  prefetchPauses: number
  /** Frames on disk from an earlier process that verified again. */
  framesReverified: number
  /** Packs evicted from disk. */
  evictions: number
  /** Reads, writes and saves of state that the disk refused. */
  diskFailures: number
  /** Reads that ended in an error, aborted reads included. */
  readFailures: number
}

/** All counters at zero. */
export function createContentStats(): ContentStats {
  return {
    ...createHttpCounters(),
    rangesFetched: 0,
    bytesFetched: 0,
    fetchFailures: 0,
    knownFailures: 0,
    failovers: 0,
    framesDecoded: 0,
    bytesDecoded: 0,
    verifyFailures: 0,
    memoryHits: 0,
    diskHits: 0,
    misses: 0,
    framesShared: 0,
    framesCoalesced: 0,
    framesPrefetched: 0,
    framesReadAhead: 0,
    prefetchPauses: 0,
    framesReverified: 0,
    evictions: 0,
    diskFailures: 0,
    readFailures: 0,
  }
}
