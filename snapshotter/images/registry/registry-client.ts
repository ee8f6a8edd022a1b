/**
 * HTTP as the registry's modules use it: with credentials, in the words of this layer. The one place
 * where failures of HTTP become errors of this layer.
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
  /** For messages: `GET manifest app:1 from registry:5000`. */
  readonly what: string
}

export interface BlobQuestion {
  readonly url: URL
  readonly digest: Digest
  readonly sizeBytes: number
  readonly what: string
  readonly signal: AbortSignal
}

export interface RegistryClientModules {
  readonly dispatcher: Dispatcher
  readonly authorizer: Authorizer
}

/**
 * Errors of all methods: `unauthorized`, `not-found`, `failed-precondition` (any other refusal),
 * `invalid-content`, `unavailable`, `cancelled`, and those of the authorizer.
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

  /** The first expected answer; its body has been read away. */
  async send(exchange: RegistryExchange): Promise<Answer> {
    return inWordsOf(exchange.what, () => this.#client.send(exchange))
  }

  /** The first expected answer and its body. */
  async read(
    exchange: RegistryExchange,
    maxBytes: number,
  ): Promise<{ answer: Answer; bytes: Buffer }> {
    return inWordsOf(exchange.what, () => this.#client.read(exchange, maxBytes))
  }

  /**
   * Yields a blob's bytes in order: whole and right when it ends without an error. A body that
   * breaks off is asked for again from where it stopped; tries without a single new byte are bounded.
   * Throws `invalid-content` when there are too many bytes or their digest is wrong.
   */
  blob(question: BlobQuestion): AsyncGenerator<Uint8Array, void, undefined> {
    return verifiedStream(this.#bytesOf(question), question, question.what)
  }

  /** For work of several exchanges, each of which is sent once. The caller closes it. */
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

export class RegistryRetries {
  readonly #what: string
  readonly #attempts: Attempts
  readonly #deadline: Deadline

  constructor(what: string, attempts: Attempts, signal: AbortSignal) {
    this.#what = what
    this.#attempts = attempts
    this.#deadline = new Deadline(signal)
  }

  /** Returns when it is time for the next attempt; throws `error` where repeating cannot help. */
  async failed(error: unknown): Promise<void> {
    const isHttp = error instanceof SnapshotterError && error.cause instanceof HttpFailure
    try {
      await this.#attempts.failed(isHttp ? error.cause : error, this.#deadline)
    } catch (final) {
      throw errorFrom(final, this.#what)
    }
  }

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

/** The error that leaves the registry's modules. Errors that are not of HTTP pass unchanged. */
function errorFrom(error: unknown, what: string): unknown {
  if (!(error instanceof HttpFailure)) return error
  if (error.reason === 'credentials' && !isPassing(error.cause)) return error.cause
  return new SnapshotterError(codeOf(error), `${what}: ${error.message}`, { cause: error })
}

/** Whether an authorizer's error may pass: this layer's say so by their code. */
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
