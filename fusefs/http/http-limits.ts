/**
 * Every bound of HTTP. Content ranges and registry exchanges differ on purpose in some of them: each
 * user gives its own numbers.
 */

/** How connections are made and kept. */
export interface ConnectionLimits {
  /** Connections kept to one origin; also the requests under way there. Default 8. */
  readonly connectionsPerOrigin: number
  /** Establishing a connection, TLS included. Default 10,000. */
  readonly connectTimeoutMs: number
  /** From the request sent to the answer's headers. Default 15,000. */
  readonly headersTimeoutMs: number
  /** Between two pieces of a body. Default 15,000. */
  readonly bodyInactivityTimeoutMs: number
  /** How long an idle connection is kept. Default 60,000. */
  readonly keepAliveMs: number
}

export const DEFAULT_CONNECTION_LIMITS: ConnectionLimits = {
  connectionsPerOrigin: 8,
  connectTimeoutMs: 10_000,
  headersTimeoutMs: 15_000,
  bodyInactivityTimeoutMs: 15_000,
  keepAliveMs: 60_000,
}

/** How often and how soon a failed request is repeated. */
export interface RetryLimits {
  /** Requests without result before the failure is final; the first one counts. */
  readonly maxAttempts: number
  /** Back-off before the first retry; doubles each time, the wait is a random part of it. */
  readonly backOffBaseMs: number
  readonly backOffCapMs: number
  /** The longest `Retry-After` that is honoured; a longer one is cut to this. */
  readonly retryAfterCapMs: number
}

/** How one exchange is made. */
export interface ExchangeLimits extends RetryLimits {
  /** From the request sent to the answer's headers. */
  readonly headersTimeoutMs: number
  /** Between two pieces of a body. */
  readonly bodyInactivityTimeoutMs: number
  /** Redirects followed for one exchange. */
  readonly maxRedirects: number
}

/** How a range is read. */
export interface RangeLimits {
  /** Bytes that make an interrupted request count as one that brought something. */
  readonly minProgressBytes: number
  /** Bytes that are read and dropped to reach a range at a server without range support. */
  readonly maxSkippedBytes: number
}

/** Bodies without interest are read to keep the connection, up to this many bytes. */
export const MAX_DISCARDED_BYTES = 64 * 1024
