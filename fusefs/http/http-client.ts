/**
 * The only HTTP client of this program: authorisation, redirects, retries, deadlines. It does not
 * know the meaning of paths. Invariant: credentials are sent only to the origin of the URL that the
 * caller named.
 *
 * The client does not use undici's own interceptors. `retry` has neither jitter nor a deadline, and
 * repeats a request with the credentials that were refused. `redirect` follows from https to http,
 * and cannot tell a challenge of the first server from a challenge of a later one. `dns` chooses
 * an address before a connection is made. That saves nothing here: connections are kept, so a name
 * is looked up only once for each connection.
 */
import type { Dispatcher } from 'undici'
import { abortable } from '../waiting/abortable.js'
import { Answer } from './answer.js'
import { Attempts } from './attempts.js'
import type { Authorizer } from './authorizer.js'
import { boundedBody } from './bounded-body.js'
import { Deadline } from './deadline.js'
import type { Exchange, TimedExchange } from './exchange.js'
import type { HttpCounters } from './http-counters.js'
import { failureFromError, failureFromStatus, HttpFailure, shownUrl } from './http-failure.js'
import { type ExchangeLimits, MAX_DISCARDED_BYTES } from './http-limits.js'
import { isRedirect, redirectTarget } from './redirect.js'
import { systemTiming, type Timing } from './timing.js'

export interface HttpClientOptions {
  readonly limits: ExchangeLimits
  /**
   * Reads an explanation from the body of a refusal. The result is appended to the error's message
   * as it is, so it must be printable, short, and begin with its own separator. It may be empty.
   * Default: the body is not read.
   */
  readonly explainRefusal?: (body: Uint8Array) => string
  /**
   * Whether an error of the authorizer is temporary, so that a retry can help. Default: every error
   * is, unless its `cause` is an `HttpFailure` that is not retryable.
   */
  readonly isPassingAuthorizerError?: (error: unknown) => boolean
}

export interface HttpClientModules {
  /** The connections. The caller closes it. */
  readonly dispatcher: Dispatcher
  /** Without it, requests carry no credentials, and a challenge is a failure. */
  readonly authorizer?: Authorizer | undefined
  readonly counters: HttpCounters
  /** Default: the system's. */
  readonly timing?: Timing | undefined
}

/** An answer and the credentials of its request. */
interface Sent {
  readonly answer: Answer
  readonly credentials: Readonly<Record<string, string>>
}

/**
 * Sent with every request. `identity` forbids servers to encode bodies, because bodies are compared
 * with digests.
 */
const HEADERS = { 'accept-encoding': 'identity', 'user-agent': 'thin-snapshotter' }

export class HttpClient {
  readonly #options: HttpClientOptions
  readonly #modules: HttpClientModules
  readonly #timing: Timing

  constructor(options: HttpClientOptions, modules: HttpClientModules) {
    this.#options = options
    this.#modules = modules
    this.#timing = modules.timing ?? systemTiming
  }

  /** Counts failures by this client's limits. For callers that repeat `open` themselves. */
  attempts(maxAttempts = this.#options.limits.maxAttempts): Attempts {
    const limits = { ...this.#options.limits, maxAttempts }
    return new Attempts(limits, { counters: this.#modules.counters, timing: this.#timing })
  }

  /** Returns an expected answer. Its body has been discarded. Retries. Throws `HttpFailure`. */
  async send(exchange: TimedExchange): Promise<Answer> {
    return this.#repeated(exchange, async (signal) => {
      const answer = await this.open(exchange, signal)
      await answer.discard()
      return answer
    })
  }

  /**
   * Returns an expected answer and its whole body. Retries. Throws `HttpFailure`, `too-large` for a
   * body of more than `maxBytes`.
   */
  async read(
    exchange: TimedExchange,
    maxBytes: number,
  ): Promise<{ answer: Answer; bytes: Buffer }> {
    return this.#repeated(exchange, async (signal) => {
      const answer = await this.open(exchange, signal)
      const shown = shownUrl(answer.url)
      const message = `${shown} sent more than the ${maxBytes} bytes that are allowed`
      const refused = (): Error => new HttpFailure('too-large', message, { retryable: false })
      try {
        return { answer, bytes: await boundedBody(answer.body(), maxBytes, refused) }
      } catch (error) {
        throw failureFromError(answer.url, error, true)
      }
    })
  }

  /**
   * Makes one attempt, without retries. It follows redirects and answers one challenge. Returns an
   * expected answer; the caller reads or discards its body. Throws `HttpFailure`.
   */
  async open(exchange: Exchange, signal: AbortSignal): Promise<Answer> {
    const isSafe = exchange.method === 'GET' || exchange.method === 'HEAD'
    const follow = exchange.follow ?? (isSafe ? 'redirects' : 'none')
    let url = exchange.redirectedTo ?? exchange.url
    let isChallenged = false
    let redirects = 0
    for (;;) {
      const sent = await this.#request(exchange, url, signal)
      const { answer } = sent
      if (exchange.expect.includes(answer.status)) return answer
      const location = answer.header('location') ?? ''
      if (follow === 'redirects' && isRedirect(answer.status) && location !== '') {
        void answer.discard()
        if (redirects++ >= this.#options.limits.maxRedirects) throw tooManyRedirects(exchange.url)
        url = redirectTarget(url, location)
        this.#modules.counters.httpRedirects++
        continue
      }
      // Read the body before asking the authorizer. An unread body would keep its connection busy,
      // and the token server may have the same origin.
      const said = await this.#said(answer)
      if (answer.status === 401 && !isChallenged) {
        isChallenged = true
        if (await this.#isAuthorizedAnew(exchange, sent, signal)) continue
      }
      const retryAfter = answer.header('retry-after')
      const refused = { url, status: answer.status, said, retryAfter }
      throw failureFromStatus(refused, this.#timing.nowMs())
    }
  }

  async #repeated<T>(
    exchange: TimedExchange,
    attempt: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    const deadline = new Deadline(exchange.signal, exchange.timeoutMs)
    const attempts = this.attempts(exchange.attempts)
    try {
      for (;;) {
        try {
          return await attempt(deadline.signal)
        } catch (error) {
          await attempts.failed(error, deadline)
        }
      }
    } finally {
      deadline.close()
    }
  }

  async #request(exchange: Exchange, url: URL, signal: AbortSignal): Promise<Sent> {
    const { limits } = this.#options
    const credentials = await this.#credentials(exchange, url, signal)
    this.#modules.counters.httpRequests++
    try {
      const response = await this.#modules.dispatcher.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: exchange.method,
        headers: { ...HEADERS, ...exchange.headers, ...credentials },
        body: exchange.body?.() ?? null,
        headersTimeout: limits.headersTimeoutMs,
        bodyTimeout: limits.bodyInactivityTimeoutMs,
        signal,
      })
      return { answer: new Answer(url, response), credentials }
    } catch (error) {
      throw failureFromError(url, error, false)
    }
  }

  /** The explanation in a refusal's body. Empty if the body cannot be read: the status suffices. */
  async #said(answer: Answer): Promise<string> {
    const { explainRefusal } = this.#options
    if (explainRefusal === undefined) {
      void answer.discard()
      return ''
    }
    const tooLong = (): Error => new Error('too long to be an explanation')
    try {
      return explainRefusal(await boundedBody(answer.body(), MAX_DISCARDED_BYTES, tooLong))
    } catch {
      return ''
    }
  }

  /** Whether the credentials for the URL now differ from the credentials that were refused. */
  async #isAuthorizedAnew(exchange: Exchange, sent: Sent, signal: AbortSignal): Promise<boolean> {
    const { authorizer } = this.#modules
    const { url } = sent.answer
    if (authorizer === undefined || url.origin !== exchange.url.origin) return false
    const challenge = sent.answer.header('www-authenticate') ?? ''
    const answered = await this.#asked(url, signal, () => authorizer.challenge(url, challenge))
    if (answered) return true
    // Meanwhile another request may have been challenged, and may have obtained new credentials.
    const { authorization } = await this.#credentials(exchange, url, signal)
    return authorization !== undefined && authorization !== sent.credentials['authorization']
  }

  async #credentials(
    exchange: Exchange,
    url: URL,
    signal: AbortSignal,
  ): Promise<Record<string, string>> {
    const { authorizer } = this.#modules
    if (authorizer === undefined || url.origin !== exchange.url.origin) return {}
    return this.#asked(url, signal, () => authorizer.headersFor(url))
  }

  /** Asks the authorizer, until `signal` aborts. Its error becomes a failure `credentials`. */
  async #asked<T>(url: URL, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    try {
      return await abortable(ask(), signal)
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause)
      const message = `cannot get credentials for ${shownUrl(url)}: ${why}`
      const isPassing = this.#options.isPassingAuthorizerError ?? mayPass
      const retryable = isPassing(cause)
      throw new HttpFailure('credentials', message, { retryable, cause })
    }
  }
}

function mayPass(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return !(cause instanceof HttpFailure) || cause.retryable
}

function tooManyRedirects(url: URL): HttpFailure {
  return new HttpFailure('redirect', `${shownUrl(url)}: too many redirects`, { retryable: false })
}
