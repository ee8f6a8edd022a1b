/** Counters of the content tiers: plain numbers, written by the tiers, read by whoever shows them. */
import { createHttpCounters, type HttpCounters } from '../http/http-counters.js'

export interface ContentStats extends HttpCounters {
  /** Ranges asked of stores. */
  rangesFetched: number
  /** Compressed bytes received from stores of any kind. */
  bytesFetched: number
  /** Ranges that failed after all retries. */
  fetchFailures: number
  /** Times another store was asked because one failed. */
  failovers: number
  /** Frames decoded and verified. */
  framesDecoded: number
  /** Uncompressed bytes of those. */
  bytesDecoded: number
  /** Frames whose bytes were not what their digest says, from stores or from disk. */
  verifyFailures: number
  /** Frames that a read found in memory. */
  memoryHits: number
  /** Frames that a read found on disk; what dispatchers read by themselves is not counted here. */
  diskHits: number
  /** Frames that a read had to wait for. */
  misses: number
  /** Frames that a read or prefetch found already asked for. */
  framesShared: number
  /** Frames that shared a range request with another. */
  framesCoalesced: number
  /** Frames asked for by prefetch and not there yet. */
  framesPrefetched: number
  /** Frames asked for ahead of somebody who reads in sequence. */
  framesReadAhead: number
  /** Times that prefetch let reads go first while its bytes were arriving. */
  prefetchPauses: number
  /** Frames of an earlier run verified again. */
  framesReverified: number
  /** Packs evicted from disk. */
  evictions: number
  /** Reads and writes that the disk refused. */
  diskFailures: number
  /** Reads that ended in an error. */
  readFailures: number
}

/** All counters at zero. */
export function createContentStats(): ContentStats {
  return {
    ...createHttpCounters(),
    rangesFetched: 0,
    bytesFetched: 0,
    fetchFailures: 0,
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
