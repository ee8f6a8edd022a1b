/**
 * What went wrong with an HTTP exchange, and whether repeating it can help: the one place where
 * status codes, undici's and the system's error codes are judged.
 */
import { systemErrorCode } from '../../index-format/system-error.js'

export type HttpFailureReason =
  /** An answer whose status the caller does not accept. */
  | 'status'
  /** There was no answer: no connection, or one that ended before the headers. */
  | 'unreachable'
  /** A connection, an answer or a piece of a body took too long. */
  | 'timeout'
  /** The body ended before its end. */
  | 'broken-off'
  /** The answer's headers say that its body is not what was asked for. */
  | 'unusable-answer'
  /** The body is longer than the caller allows. */
  | 'too-large'
  /** A redirect that is not followed. */
  | 'redirect'
  /** A connection that the address policy does not allow. */
  | 'address'
  /** The authorizer failed; `cause` is its error. */
  | 'credentials'
  /** The request was not sent, because its server is known to fail; `cause` is how. */
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

/** Why an exchange brought no result. Each user of this folder maps it to an error of its layer. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly reason: HttpFailureReason
  /** Whether repeating the request can help. */
  readonly retryable: boolean
  /** The answer's status; 0 where there was no answer. */
  readonly status: number
  /** How long the server asked to wait; 0 where it did not. */
  readonly retryAfterMs: number

  constructor(reason: HttpFailureReason, message: string, options: HttpFailureOptions) {
    super(message, { cause: options.cause })
    this.reason = reason
    this.retryable = options.retryable
    this.status = options.status ?? 0
    this.retryAfterMs = options.retryAfterMs ?? 0
  }

  /** The same failure as the last one of `attempts` requests. */
  afterAttempts(attempts: number): HttpFailure {
    if (attempts === 1) return this
    const { retryable, status, retryAfterMs, cause } = this
    const message = `${this.message}, after ${attempts} attempts`
    return new HttpFailure(this.reason, message, { retryable, status, retryAfterMs, cause })
  }
}

/** A URL as errors and logs may show it: the query of a signed URL is a credential. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** Whether a server that answered with `status` may answer otherwise to the same request later. */
function isPassing(status: number): boolean {
  return status === 408 || status === 425 || status === 429 || status >= 500
}

interface RefusedAnswer {
  readonly url: URL
  readonly status: number
  /** What the server's body says of it, for the message; may be empty. */
  readonly said: string
  /** The header `Retry-After`. */
  readonly retryAfter: string | undefined
}

/** What an answer means whose status is not accepted. `nowMs` is wall-clock time. */
export function failureFromStatus(answer: RefusedAnswer, nowMs: number): HttpFailure {
  const { url, status, said } = answer
  const retryable = isPassing(status)
  const retryAfterMs = retryable ? retryAfterMsFrom(answer.retryAfter ?? '', nowMs) : 0
  const message = `${shownUrl(url)} answered ${status}${said}`
  return new HttpFailure('status', message, { retryable, status, retryAfterMs })
}

/** What an exception from undici means; `inBody` once the answer's headers had arrived. */
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

/** A certificate that is not trusted now will not be at the next attempt. */
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

/** RFC 9110, 10.2.3: seconds, or a date. Anything else counts as not said. */
function retryAfterMsFrom(header: string, nowMs: number): number {
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs)
}
