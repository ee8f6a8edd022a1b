/**
 * The limits of HTTP. Reads of content and exchanges with registries need different limits, so each
 * user passes its own numbers.
 */

/** Limits of connections. */
export interface ConnectionLimits {
  /** Connections to one origin, and so also requests there at the same time. Default 8. */
  readonly connectionsPerOrigin: number
  /** Limit for making a connection, TLS included. Default 10,000. */
  readonly connectTimeoutMs: number
  /** Limit from the request to the answer's headers. Default 15,000. */
  readonly headersTimeoutMs: number
  /** Limit between two pieces of a body. Default 15,000. */
  readonly bodyInactivityTimeoutMs: number
  /** An idle connection is closed after this time. Default 60,000. */
  readonly keepAliveMs: number
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  connectionsPerOrigin: 8,
  connectTimeoutMs: 10_000,
  headersTimeoutMs: 15_000,
  bodyInactivityTimeoutMs: 15_000,
  keepAliveMs: 60_000,
}

/** Limits of retries. */
export interface RetryLimits {
  /** Attempts in a row without progress before a failure is final, the first one included. */
  readonly maxAttempts: number
  /** Longest wait before the first retry. It doubles with each retry; the wait is a random part. */
  readonly backOffBaseMs: number
  /** The doubling stops here. */
  readonly backOffCapMs: number
  /** A longer `Retry-After` of a server is cut to this. */
  readonly retryAfterCapMs: number
}

/** Limits of one exchange. */
export interface ExchangeLimits extends RetryLimits {
  /** Limit from the request to the answer's headers. */
  readonly headersTimeoutMs: number
  /** Limit between two pieces of a body. */
  readonly bodyInactivityTimeoutMs: number
  /** Redirects that are followed in one attempt. */
  readonly maxRedirects: number
}

/** Limits of reading a range. */
export interface RangeLimits {
  /** An interrupted request that brought at least this many bytes resets the count of failures. */
  readonly minProgressBytes: number
  /**
   * A server without range support sends the content from its start. The bytes before the range are
   * then read and dropped. If there are more of them than this, reading fails instead.
   */
  readonly maxSkippedBytes: number
}

/**
 * A body that nobody needs is read up to this many bytes, so that its connection can be used again.
 * The connection of a longer body is closed.
 */
export const MAX_DISCARDED_BYTES = 64 * 1024
