/**
 * One HTTP exchange with a registry: authentication, bounded retries, redirects, deadlines. Nothing
 * here knows what the paths mean. Credentials go only to the origin they were learned for, because
 * headers are asked for again at every hop.
 */
import { type Dispatcher, request } from 'undici'
import type { Authorizer } from '../../../fusefs/index.js'
import { SnapshotterError, type SnapshotterErrorCode } from '../../errors.js'
import { backOff, retryAfterMs } from './backoff.js'
import { boundedBody } from './bounded-body.js'
import {
  BODY_IDLE_TIMEOUT_MS,
  HEADERS_TIMEOUT_MS,
  MAX_ANSWER_BYTES,
  MAX_ATTEMPTS,
  MAX_REDIRECTS,
} from './registry-limits.js'

type ExchangeBody = Exclude<Dispatcher.DispatchOptions['body'], undefined>

export interface Exchange {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: URL
  /** For messages: `GET manifest app:1 from registry:5000`. */
  readonly what: string
  readonly headers?: Readonly<Record<string, string>>
  /** Makes the body, once for each try. */
  readonly body?: () => ExchangeBody
  /** Status codes that are an answer; all others are errors. */
  readonly expect: readonly number[]
  /** For the whole exchange, retries and the answer's body included. */
  readonly timeoutMs: number
  /** Default MAX_ATTEMPTS; 1 where a repetition would do harm. */
  readonly attempts?: number
  readonly signal: AbortSignal
}

/** The caller reads or destroys `body`. */
export interface Answer {
  readonly status: number
  readonly body: Dispatcher.ResponseData['body']
  /** The first value of a header, by its lower-case name. */
  header(name: string): string | undefined
}

export interface TransportModules {
  readonly dispatcher: Dispatcher
  readonly authorizer: Authorizer
}

const TRANSIENT: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504])
const REDIRECT: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

export class Transport {
  readonly #modules: TransportModules

  constructor(modules: TransportModules) {
    this.#modules = modules
  }

  /**
   * Sends, and returns the first expected answer. Throws `unauthorized`, `not-found`,
   * `failed-precondition` (any other refusal), `unavailable` or `cancelled`.
   */
  async send(exchange: Exchange): Promise<Answer> {
    const deadline = AbortSignal.timeout(exchange.timeoutMs)
    const signal = AbortSignal.any([exchange.signal, deadline])
    const attempts = exchange.attempts ?? MAX_ATTEMPTS
    for (let attempt = 1; ; attempt++) {
      let waitMs = 0
      let failure: unknown
      try {
        const answer = await this.#authorized(exchange, signal)
        if (exchange.expect.includes(answer.status)) return answer
        if (!TRANSIENT.has(answer.status)) throw await refusal(exchange, answer)
        waitMs = retryAfterMs(answer.header('retry-after'))
        failure = await refusal(exchange, answer)
      } catch (cause) {
        throwIfCancelled(exchange)
        if (cause instanceof SnapshotterError && cause.code !== 'unavailable') throw cause
        failure = cause
      }
      if (attempt >= attempts || signal.aborted) throw unavailable(exchange, attempt, failure)
      await backOff(attempt + 1, waitMs, signal).catch(() => undefined)
      throwIfCancelled(exchange)
      if (deadline.aborted) throw unavailable(exchange, attempt, failure)
    }
  }

  /** Sends, reads the whole answer and drops it. */
  async sendForHeaders(exchange: Exchange): Promise<Answer> {
    const answer = await this.send(exchange)
    await discard(answer)
    return answer
  }

  /** At most one repetition, after a challenge that brought new credentials. */
  async #authorized(exchange: Exchange, signal: AbortSignal): Promise<Answer> {
    const first = await this.#redirected(exchange, signal)
    if (first.answer.status !== 401) return first.answer
    const challenge = first.answer.header('www-authenticate')
    if (challenge === undefined) return first.answer
    if (!(await this.#modules.authorizer.challenge(first.url, challenge))) return first.answer
    await discard(first.answer)
    return (await this.#redirected(exchange, signal)).answer
  }

  async #redirected(
    exchange: Exchange,
    signal: AbortSignal,
  ): Promise<{ answer: Answer; url: URL }> {
    let url = exchange.url
    for (let hops = 0; ; hops++) {
      const answer = await this.#once(exchange, url, signal)
      const location = answer.header('location')
      const follows = exchange.method === 'GET' || exchange.method === 'HEAD'
      if (!follows || !REDIRECT.has(answer.status) || location === undefined) return { answer, url }
      await discard(answer)
      if (hops === MAX_REDIRECTS) {
        throw new SnapshotterError(
          'invalid-content',
          `${exchange.what}: more than ${String(MAX_REDIRECTS)} redirects`,
        )
      }
      url = redirectTarget(location, url, exchange.what)
    }
  }

  async #once(exchange: Exchange, url: URL, signal: AbortSignal): Promise<Answer> {
    const { dispatcher, authorizer } = this.#modules
    const headers = { ...exchange.headers, ...(await authorizer.headersFor(url)) }
    const answer = await request(url, {
      dispatcher,
      method: exchange.method,
      headers,
      body: exchange.body?.() ?? null,
      signal,
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: BODY_IDLE_TIMEOUT_MS,
    })
    return {
      status: answer.statusCode,
      body: answer.body,
      header: (name) => {
        const value = answer.headers[name]
        return Array.isArray(value) ? value[0] : value
      },
    }
  }
}

/** Reads the rest of an answer, so that its connection can be used again. */
export async function discard(answer: Answer): Promise<void> {
  await answer.body.dump({ limit: MAX_ANSWER_BYTES }).catch(() => undefined)
}

function redirectTarget(location: string, from: URL, what: string): URL {
  if (!URL.canParse(location, from.href)) {
    throw new SnapshotterError('invalid-content', `${what}: redirected to something not a URL`)
  }
  const target = new URL(location, from)
  const downgrade = from.protocol === 'https:' && target.protocol !== 'https:'
  if (downgrade || !['https:', 'http:'].includes(target.protocol)) {
    throw new SnapshotterError(
      'invalid-content',
      `${what}: redirected from ${from.origin} to ${target.protocol}//, which is not followed`,
    )
  }
  target.username = ''
  target.password = ''
  return target
}

async function refusal(exchange: Exchange, answer: Answer): Promise<SnapshotterError> {
  let said = ''
  try {
    said = registrySays(await boundedBody(answer.body, MAX_ANSWER_BYTES, exchange.what))
  } catch {
    // An error's body that cannot be read does not change what the status says.
  }
  return new SnapshotterError(
    codeOfStatus(answer.status),
    `${exchange.what}: HTTP ${String(answer.status)}${said}`,
  )
}

function codeOfStatus(status: number): SnapshotterErrorCode {
  if (status === 401 || status === 403) return 'unauthorized'
  if (status === 404) return 'not-found'
  return status >= 500 || TRANSIENT.has(status) ? 'unavailable' : 'failed-precondition'
}

/** The first error of a distribution-spec error document, printable and short. */
function registrySays(body: Uint8Array): string {
  let document: unknown
  try {
    document = JSON.parse(Buffer.from(body).toString('utf8'))
  } catch {
    return ''
  }
  const [first] =
    (document as { errors?: { code?: unknown; message?: unknown }[] } | null)?.errors ?? []
  if (first === undefined) return ''
  const text = `${String(first.code)}: ${String(first.message)}`
  return ` (${text.replace(/[^\x20-\x7e]/g, '?').slice(0, 300)})`
}

function throwIfCancelled(exchange: Exchange): void {
  if (!exchange.signal.aborted) return
  const cause: unknown = exchange.signal.reason
  throw new SnapshotterError('cancelled', `${exchange.what}: cancelled`, { cause })
}

function unavailable(exchange: Exchange, attempts: number, cause: unknown): SnapshotterError {
  const reason = cause instanceof Error ? `: ${cause.message}` : ''
  return new SnapshotterError(
    'unavailable',
    `${exchange.what}: gave up after ${String(attempts)} attempt(s)${reason}`,
    { cause },
  )
}
