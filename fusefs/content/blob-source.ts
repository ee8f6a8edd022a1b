/**
 * The interface to a store, which gives ranges of immutable blobs. HTTP registries, static HTTP
 * servers and `file:` folders implement it. The tiers above do not depend on the kind of store.
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
  /** The name of this source in logs and errors: its URL without credentials. */
  readonly name: string
  /**
   * The server behind this source, such as `https://host:port`. Requests to one origin are counted
   * together, so that an origin that does not answer cannot use up the places of other origins.
   */
  readonly origin: string
  /**
   * Streams exactly `range.length` bytes, or throws a `FusefsError` (`fetch-failed`,
   * `blob-not-found`, `fetch-timeout`, `truncated-answer`) that names source and blob. The source
   * itself retries, a bounded number of times. The bytes are NOT verified. Aborting `signal`
   * releases the connection and throws `aborted`.
   */
  stream(range: BlobRange, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * Tells the source that bytes of this blob did not verify. A source with several servers then
   * moves the server that sent these bytes to the end of its order for a while. Returns true if
   * that server was trusted until now, and another server is left that has not sent wrong bytes of
   * this blob.
   */
  distrust(digest: Digest): boolean
  /** Closes connections. Idempotent. */
  close(): Promise<void>
}
