/**
 * The HTTP client of the registry modules. It adds credentials. Only this file turns failures of
 * HTTP into errors of this layer.
 */
import type { Dispatcher } from 'undici'
import {
  type Answer,
  type Attempts,
  type Authorizer,
  createHttpCounters,
  Deadline,
  HttpClient,
  HttpFailure,
  RangeReader,
  type TimedExchange,
} from '../../../fusefs/index.js'
import type { Digest } from '../../../index-format/index.js'
import { SnapshotterError, type SnapshotterErrorCode } from '../../errors.js'
import { verifiedStream } from './verified-stream.js'
import {
  BLOB_EXCHANGE_TIMEOUT_MS,
  REGISTRY_LIMITS,
  SLOWEST_BYTES_PER_SECOND,
} from './registry-limits.js'

export interface RegistryExchange extends TimedExchange {
  /** The beginning of messages, for example `GET manifest app:1 from registry:5000`. */
  readonly what: string
}

export interface BlobQuestion {
  readonly url: URL
  readonly digest: Digest
  readonly sizeBytes: number
  /** The beginning of messages. */
  readonly what: string
  readonly signal: AbortSignal
}

export interface RegistryClientModules {
  /** The connections. The caller closes it. */
  readonly dispatcher: Dispatcher
  readonly authorizer: Authorizer
}

/**
 * All methods throw `SnapshotterError` with one of these codes: `unauthorized`, `not-found`,
 * `failed-precondition` (any other refusal), `invalid-content`, `unavailable`, `cancelled`. Errors
 * of the authorizer that are not temporary pass unchanged.
 */
export class RegistryClient {
  readonly #client: HttpClient
  readonly #ranges: RangeReader

  constructor(modules: RegistryClientModules) {
    const counters = createHttpCounters()
    this.#client = new HttpClient(
      {
        limits: REGISTRY_LIMITS,
        explainRefusal: registrySays,
        isPassingAuthorizerError: isPassing,
      },
      { ...modules, counters },
    )
    this.#ranges = new RangeReader(REGISTRY_LIMITS, { client: this.#client, counters })
  }

  /** Returns an expected answer. Its body has been discarded. Retries. */
  async send(exchange: RegistryExchange): Promise<Answer> {
    return inWordsOf(exchange.what, () => this.#client.send(exchange))
  }

  /**
   * Returns an expected answer and its whole body. Retries. Throws `invalid-content` for a body of
   * more than `maxBytes`.
   */
  async read(
    exchange: RegistryExchange,
    maxBytes: number,
  ): Promise<{ answer: Answer; bytes: Buffer }> {
    return inWordsOf(exchange.what, () => this.#client.read(exchange, maxBytes))
  }

  /**
   * Yields a blob's bytes in order. They are complete and verified once the generator ends without
   * an error. If a body breaks off, a new request continues after its last byte. The number of
   * requests in a row without a new byte is limited. Throws `invalid-content` if there are too many
   * bytes or their digest is wrong.
   */
  blob(question: BlobQuestion): AsyncGenerator<Uint8Array, void, undefined> {
    return verifiedStream(this.#bytesOf(question), question, question.what)
  }

  /**
   * Counts the failures of work that makes several exchanges and repeats them itself. Each exchange
   * then has `attempts: 1`. `attempts` defaults to the registry limits. The caller closes it.
   */
  retries(work: { what: string; attempts?: number; signal: AbortSignal }): RegistryRetries {
    return new RegistryRetries(work.what, this.#client.attempts(work.attempts), work.signal)
  }

  async *#bytesOf(question: BlobQuestion): AsyncGenerator<Uint8Array, void, undefined> {
    const { url, sizeBytes, what, signal } = question
    const deadlineMs = BLOB_EXCHANGE_TIMEOUT_MS + (sizeBytes / SLOWEST_BYTES_PER_SECOND) * 1000
    const range = { url, offset: 0, length: sizeBytes, extent: 'rest', deadlineMs, signal } as const
    try {
      yield* this.#ranges.stream(range)
    } catch (error) {
      throw errorFrom(error, what)
    }
  }
}

/** Counts the failures of one piece of work and waits between its attempts. */
export class RegistryRetries {
  readonly #what: string
  readonly #attempts: Attempts
  readonly #deadline: Deadline

  constructor(what: string, attempts: Attempts, signal: AbortSignal) {
    this.#what = what
    this.#attempts = attempts
    this.#deadline = new Deadline(signal)
  }

  /**
   * Resolves when it is time for the next attempt. Rejects with `error` if repeating cannot help or
   * no attempts are left, and with `cancelled` if the caller has aborted the work.
   */
  async failed(error: unknown): Promise<void> {
    const isHttp = error instanceof SnapshotterError && error.cause instanceof HttpFailure
    try {
      await this.#attempts.failed(isHttp ? error.cause : error, this.#deadline)
    } catch (final) {
      throw errorFrom(final, this.#what)
    }
  }

  /** Detaches from the caller's signal. Idempotent. */
  close(): void {
    this.#deadline.close()
  }
}

async function inWordsOf<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw errorFrom(error, what)
  }
}

/**
 * The error of this layer for a failure of HTTP. Other errors pass unchanged. `what` begins the
 * message.
 */
function errorFrom(error: unknown, what: string): unknown {
  if (!(error instanceof HttpFailure)) return error
  if (error.reason === 'credentials' && !isPassing(error.cause)) return error.cause
  return new SnapshotterError(codeOf(error), `${what}: ${error.message}`, { cause: error })
}

/**
 * Whether an authorizer's error is temporary. Errors of this layer are, if they are `unavailable`.
 */
function isPassing(error: unknown): boolean {
  return !(error instanceof SnapshotterError) || error.code === 'unavailable'
}

function codeOf(failure: HttpFailure): SnapshotterErrorCode {
  switch (failure.reason) {
    case 'status':
      return codeOfStatus(failure)
    case 'redirect':
    case 'too-large':
    case 'unusable-answer':
      return 'invalid-content'
    case 'address':
      return 'failed-precondition'
    case 'aborted':
      return 'cancelled'
    case 'unreachable':
    case 'timeout':
    case 'broken-off':
    case 'credentials':
    case 'known-failing':
    case 'deadline':
      return 'unavailable'
  }
}

function codeOfStatus({ status, retryable }: HttpFailure): SnapshotterErrorCode {
  if (status === 401 || status === 403) return 'unauthorized'
  if (status === 404) return 'not-found'
  return retryable ? 'unavailable' : 'failed-precondition'
}

/**
 * The explanation in a distribution-spec error document: its first error, in printable ASCII, at
 * most 300 characters. Empty for a body that is no such document.
 */
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
