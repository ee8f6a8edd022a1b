/**
 * Why an HTTP exchange failed, and whether a retry can help. Only this file interprets status
 * codes, the error codes of undici and those of the system.
 */
import { systemErrorCode } from '../../index-format/system-error.js'

export type HttpFailureReason =
  /** An answer whose status the caller does not accept. */
  | 'status'
  /** There was no answer: no connection was made, or it ended before the headers. */
  | 'unreachable'
  /** A connection, an answer or a piece of a body took too long. */
  | 'timeout'
  /** The connection ended before the end of the body. */
  | 'broken-off'
  /** By the answer's headers, its body does not hold the content that was asked for. */
  | 'unusable-answer'
  /** The body is longer than the caller allows. */
  | 'too-large'
  /** A redirect that the client does not follow. */
  | 'redirect'
  /** A connection that the address policy does not allow. */
  | 'address'
  /** The authorizer failed; `cause` is its error. */
  | 'credentials'
  /**
   * The request was not sent, because its server is known to fail; `cause` is the server's last
   * failure.
   */
  | 'known-failing'
  /** The deadline of the whole exchange passed. */
  | 'deadline'
  /** The caller gave up. */
  | 'aborted'

interface HttpFailureOptions {
  readonly retryable: boolean
  readonly status?: number
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/**
 * The failure of an HTTP exchange. Each user of this folder maps it to an error of its own layer.
 */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly reason: HttpFailureReason
  /** Whether repeating the request can help. */
  readonly retryable: boolean
  /** The answer's status; 0 if there was no answer. */
  readonly status: number
  /** The wait that the server asked for; 0 if it asked for none. */
  readonly retryAfterMs: number

  constructor(reason: HttpFailureReason, message: string, options: HttpFailureOptions) {
    super(message, { cause: options.cause })
    this.reason = reason
    this.retryable = options.retryable
    this.status = options.status ?? 0
    this.retryAfterMs = options.retryAfterMs ?? 0
  }

  /**
   * A copy whose message says that it is the last of `attempts` attempts; `this` for one attempt.
   */
  afterAttempts(attempts: number): HttpFailure {
    if (attempts === 1) return this
    const { retryable, status, retryAfterMs, cause } = this
    const message = `${this.message}; gave up after ${attempts} attempts`
    return new HttpFailure(this.reason, message, { retryable, status, retryAfterMs, cause })
  }
}

/** A URL for errors and logs, without its query: the query of a signed URL is a credential. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** Whether a later repetition of the request may get another status than `status`. */
function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500
}

interface RefusedAnswer {
  readonly url: URL
  readonly status: number
  /** The server's explanation, which the message ends with; may be empty. */
  readonly said: string
  /** The value of the header `Retry-After`. */
  readonly retryAfter: string | undefined
}

/**
 * The failure `status` for an answer whose status the caller does not accept. `nowMs` is wall-clock
 * time, milliseconds since 1970.
 */
export function failureFromStatus(answer: RefusedAnswer, nowMs: number): HttpFailure {
  const { url, status, said } = answer
  const retryable = isPassing(status)
  const retryAfterMs = retryable ? retryAfterMsFrom(answer.retryAfter ?? '', nowMs) : 0
  const message = `${shownUrl(url)} answered ${status}${said}`
  return new HttpFailure('status', message, { retryable, status, retryAfterMs })
}

/**
 * The failure for an error of undici; an `HttpFailure` is returned unchanged. `inBody`: the
 * answer's headers had arrived.
 */
export function failureFromError(url: URL, error: unknown, inBody: boolean): HttpFailure {
  if (error instanceof HttpFailure) return error
  const code = codeOf(error)
  const shown = shownUrl(url)
  if (TIMEOUTS.has(code)) {
    const message = `${shown} did not answer in time (${code})`
    return new HttpFailure('timeout', message, { retryable: true, cause: error })
  }
  const what = code === '' ? String(error) : code
  if (inBody) {
    const message = `${shown} broke off its answer (${what})`
    return new HttpFailure('broken-off', message, { retryable: true, cause: error })
  }
  const message = `cannot reach ${shown} (${what})`
  return new HttpFailure('unreachable', message, { retryable: !isFinal(code), cause: error })
}

const TIMEOUTS: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

/** Whether a retry would meet the same error: a bad certificate stays bad. */
function isFinal(code: string): boolean {
  return (
    code.startsWith('CERT_') ||
    code.startsWith('ERR_TLS_') ||
    code.startsWith('ERR_SSL_') ||
    code.startsWith('UNABLE_TO_') ||
    code.endsWith('_CERT_IN_CHAIN') ||
    code.endsWith('_SIGNED_CERT') ||
    code === 'UND_ERR_INVALID_ARG'
  )
}

function codeOf(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0])
  return systemErrorCode(error) ?? ''
}

/** The header is a number of seconds or a date (RFC 9110, 10.2.3). Anything else counts as 0. */
function retryAfterMsFrom(header: string, nowMs: number): number {
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs)
}
