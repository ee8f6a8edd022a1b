/**
 * The one HTTP client: authorisation, redirects, retries, deadlines. Nothing here knows what the
 * paths mean. Invariant: credentials go only to the origin of the URL that the caller named.
 *
 * undici's own interceptors are not used. `retry` has neither jitter nor a deadline, and repeats with
 * the credentials that were refused. `redirect` follows from https to http, and does not tell a
 * challenge at the first hop from one at another. `dns` chooses addresses before a connection is
 * made; connections are kept here, so names are looked up once for each connection anyway.
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
   * What the body of a refusal says, for the error's message: printable, short, with what separates
   * it from the message, or empty. Default: the body is not looked at.
   */
  readonly explainRefusal?: (body: Uint8Array) => string
  /**
   * Whether an error of the authorizer may pass by itself. Default: each may whose cause is not a
   * failure of this folder that repeating cannot help.
   */
  readonly isPassingAuthorizerError?: (error: unknown) => boolean
}

export interface HttpClientModules {
  /** The connections. Stays the caller's to close. */
  readonly dispatcher: Dispatcher
  /** Without it requests carry no credentials and no challenge is answered. */
  readonly authorizer?: Authorizer | undefined
  readonly counters: HttpCounters
  readonly timing?: Timing | undefined
}

/** An answer, and the credentials that its request carried. */
interface Sent {
  readonly answer: Answer
  readonly credentials: Readonly<Record<string, string>>
}

/** Sent with every request. Bodies are compared with digests, so no server may encode them. */
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

  /** A count of failures with this client's limits, for work that repeats `open` itself. */
  attempts(maxAttempts = this.#options.limits.maxAttempts): Attempts {
    const limits = { ...this.#options.limits, maxAttempts }
    return new Attempts(limits, { counters: this.#modules.counters, timing: this.#timing })
  }

  /** An expected answer whose body has been read away. Retries. Throws `HttpFailure`. */
  async send(exchange: TimedExchange): Promise<Answer> {
    return this.#repeated(exchange, async (signal) => {
      const answer = await this.open(exchange, signal)
      await answer.discard()
      return answer
    })
  }

  /** An expected answer with its whole body, of up to `maxBytes`. Retries. Throws `HttpFailure`. */
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
   * One attempt, without retries: follows redirects and answers one challenge until there is an
   * expected answer, whose body the caller reads or discards. Throws `HttpFailure`.
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
      // Read before the authorizer is asked: an unread body would keep its connection busy, and
      // the token server may be at the same origin.
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

  /** What a refusal's body says. A body that cannot be read does not change what the status says. */
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

  /** Whether there are other credentials now than those that were just refused. */
  async #isAuthorizedAnew(exchange: Exchange, sent: Sent, signal: AbortSignal): Promise<boolean> {
    const { authorizer } = this.#modules
    const { url } = sent.answer
    if (authorizer === undefined || url.origin !== exchange.url.origin) return false
    const challenge = sent.answer.header('www-authenticate') ?? ''
    const answered = await this.#asked(url, signal, () => authorizer.challenge(url, challenge))
    if (answered) return true
    // Another request may have been challenged, and have got them, while this one was under way.
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

  /** An authorizer that hangs or fails is a failure of the exchange, with the exchange's deadline. */
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
