/** One question to an HTTP server, as callers put it. */
import type { Dispatcher } from 'undici'

export type ExchangeBody = Exclude<Dispatcher.DispatchOptions['body'], undefined>

export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Credentials go to the origin of this URL and to no other. */
  readonly url: URL
  /** Where an earlier exchange for `url` was redirected to: asked in the place of `url`. */
  readonly redirectedTo?: URL
  readonly headers?: Readonly<Record<string, string>>
  /** Makes the body, once for each request. */
  readonly body?: () => ExchangeBody
  /** Status codes that are an answer; all others are failures. */
  readonly expect: readonly number[]
  /** Default: redirects of GET and HEAD are followed, a request with an effect is not. */
  readonly follow?: 'redirects' | 'none'
}

/** An exchange with everything that bounds it. */
export interface TimedExchange extends Exchange {
  /** For the whole exchange, retries and the answer's body included. */
  readonly timeoutMs: number
  /** Default: the client's `maxAttempts`; 1 where a repetition would do harm. */
  readonly attempts?: number
  readonly signal: AbortSignal
}
