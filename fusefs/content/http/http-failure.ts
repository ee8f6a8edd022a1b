/**
 * What went wrong with one HTTP request, and whether sending it again can help: the one place
 * where status codes, undici's and the system's error codes are judged.
 */
import { systemErrorCode } from '../../../index-format/system-error.js'
import { FusefsError, type FusefsErrorCode } from '../../errors.js'

/** Why one request brought no bytes, or not all. Stays inside this folder. */
export class HttpFailure extends Error {
  override readonly name = 'HttpFailure'
  readonly code: FusefsErrorCode
  readonly retryable: boolean
  /** What the server asked to wait; 0 where it did not. */
  readonly retryAfterMs: number

  constructor(
    code: FusefsErrorCode,
    message: string,
    options: { retryable: boolean; retryAfterMs?: number; cause?: unknown },
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.retryable = options.retryable
    this.retryAfterMs = options.retryAfterMs ?? 0
  }
}

/** A URL as errors and logs may show it: the query of a signed URL is a credential. */
export function shownUrl(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** What an answer without content means. `retryAfter` is the header of that name. */
export function failureFromStatus(url: URL, status: number, retryAfter: string): HttpFailure {
  const message = `${shownUrl(url)} answered ${status}`
  if (status === 404 || status === 410 || status === 416) {
    return new HttpFailure('blob-not-found', message, { retryable: false })
  }
  const retryable = status === 408 || status === 425 || status === 429 || status >= 500
  const retryAfterMs = retryable ? retryAfterMsFrom(retryAfter) : 0
  return new HttpFailure('fetch-failed', message, { retryable, retryAfterMs })
}

/** What an exception from the client means; `inBody` once the answer's headers had arrived. */
export function failureFromError(url: URL, error: unknown, inBody: boolean): HttpFailure {
  if (error instanceof HttpFailure) return error
  const code = codeOf(error)
  const shown = shownUrl(url)
  if (TIMEOUTS.has(code)) {
    const message = `${shown} did not answer in time (${code})`
    return new HttpFailure('fetch-timeout', message, { retryable: true, cause: error })
  }
  const what = code === '' ? String(error) : code
  if (inBody) {
    const message = `${shown} broke off its answer (${what})`
    return new HttpFailure('truncated-answer', message, { retryable: true, cause: error })
  }
  const message = `cannot reach ${shown} (${what})`
  return new HttpFailure('fetch-failed', message, { retryable: !isFinal(code), cause: error })
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
function retryAfterMsFrom(header: string): number {
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now())
}

/** The error that leaves this layer. */
export function fusefsErrorFrom(failure: HttpFailure, subject: string): FusefsError {
  return new FusefsError(failure.code, `${subject}: ${failure.message}`, { cause: failure })
}
