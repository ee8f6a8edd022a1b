/**
 * The seam to the network: a store, seen as ranges of immutable blobs. HTTP registries, static HTTP
 * servers and `file:` folders each implement it; the tiers above neither know nor care which.
 */
import type { Digest } from '../../index-format/index.js'

/** A run of a blob's bytes. */
export interface BlobRange {
  readonly digest: Digest
  /** First byte, from 0. */
  readonly offset: number
  /** Bytes; at least 1. */
  readonly length: number
}

export interface BlobSource {
  /** What a log line calls this source: its URL without credentials. */
  readonly name: string
  /**
   * Streams exactly `range.length` bytes, or throws a `FusefsError` (`fetch-failed`,
   * `blob-not-found`, `fetch-timeout`, `truncated-answer`) that names source and blob. Retries are
   * inside, bounded; the bytes are NOT verified. Aborting `signal` releases the connection.
   */
  stream(range: BlobRange, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Tells that bytes of this blob did not verify: where there is a choice of servers, the one that
   * sent them is asked last for a while.
   */
  distrust(digest: Digest): void
  /** Closes connections. Idempotent. */
  close(): Promise<void>
}
