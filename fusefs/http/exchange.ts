/** One HTTP request, as callers of `HttpClient` describe it. */
import type { Dispatcher } from 'undici'

export type ExchangeBody = Exclude<Dispatcher.DispatchOptions['body'], undefined>

export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** Credentials are sent to the origin of this URL and to no other. */
  readonly url: URL
  /** The end of the redirects of an earlier exchange for `url`. The request goes here instead. */
  readonly redirectedTo?: URL
  readonly headers?: Readonly<Record<string, string>>
  /** Called once for each request: returns its body. Default: no body. */
  readonly body?: () => ExchangeBody
  /** The status codes of an answer. Every other status is a failure. */
  readonly expect: readonly number[]
  /** Default: `redirects` for GET and HEAD. `none` for other methods, which change something. */
  readonly follow?: 'redirects' | 'none'
}

/** An exchange with its limits. */
export interface TimedExchange extends Exchange {
  /** The limit of the whole exchange, with its retries and the body of the answer. */
  readonly timeoutMs: number
  /** Requests, the first one included. Use 1 if a repetition does harm. Default: `maxAttempts`. */
  readonly attempts?: number
  readonly signal: AbortSignal
}
