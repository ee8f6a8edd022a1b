/** Counters of HTTP. The client and the range reader increment them; their owner reads them. */
export interface HttpCounters {
  /** Requests sent, redirects and retries included. */
  httpRequests: number
  /** Retries after a failure. Each is also counted in `httpRequests`. */
  httpRetries: number
  /** Requests that were not sent, because their server was known to fail. */
  httpRefusals: number
  /** Redirects followed. */
  httpRedirects: number
  /** Range requests that the server answered with 200, which means with the whole content. */
  httpRangesIgnored: number
  /**
   * Body bytes received by range requests, including bytes outside the range, which are dropped.
   */
  httpBytes: number
}

/** All counters at zero. */
export function createHttpCounters(): HttpCounters {
  return {
    httpRequests: 0,
    httpRetries: 0,
    httpRefusals: 0,
    httpRedirects: 0,
    httpRangesIgnored: 0,
    httpBytes: 0,
  }
}
