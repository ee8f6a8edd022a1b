/** What HTTP counts: plain numbers, written here, read by their owner. */
export interface HttpCounters {
  /** Requests sent, redirects and retries included. */
  httpRequests: number
  /** Of those, sent again after a failure. */
  httpRetries: number
  /** Requests that were not sent, because their server was known to fail. */
  httpRefusals: number
  /** Redirects followed. */
  httpRedirects: number
  /** Answers 200 to a range request. */
  httpRangesIgnored: number
  /** Body bytes of ranges received, skipped ones included. */
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
