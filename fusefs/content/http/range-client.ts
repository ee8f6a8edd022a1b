/**
 * One request for a range of a blob: authorisation, redirects, and the check that the answer is
 * what was asked. Invariants: credentials go to the store's own origin only; what is handed on is
 * exactly the range, or an error.
 */
import { LRUCache } from 'lru-cache'
import type { Dispatcher } from 'undici'
import type { Digest } from '../../../index-format/index.js'
import type { Log } from '../../log.js'
import { abortable } from '../abortable.js'
import type { Authorizer, BlobRange } from '../blob-source.js'
import type { ContentStats } from '../content-stats.js'
import type { HttpLimits } from '../content-limits.js'
import { isContentRange } from './content-range.js'
import { failureFromError, failureFromStatus, HttpFailure, shownUrl } from './http-failure.js'

type Answer = Dispatcher.ResponseData
/** An answer, and the credentials that its request carried. */
interface Sent {
  readonly answer: Answer
  readonly credentials: Readonly<Record<string, string>>
}
interface Reply {
  readonly url: URL
  readonly answer: Answer
}

/** Error bodies are read to keep the connection, up to this many bytes. */
const MAX_DISCARDED_BYTES = 64 * 1024

export interface RangeClientModules {
  readonly agent: Dispatcher
  readonly authorizer: Authorizer | undefined
  readonly log: Log
  readonly stats: ContentStats
}

export class RangeClient {
  readonly #limits: HttpLimits
  readonly #modules: RangeClientModules
  readonly #redirects: LRUCache<Digest, URL>
  #warnedOfMissingRanges = false

  constructor(limits: HttpLimits, modules: RangeClientModules) {
    this.#limits = limits
    this.#modules = modules
    this.#redirects = new LRUCache({
      max: limits.maxRememberedRedirects,
      ttl: limits.redirectMemoryMs,
    })
  }

  /** Forgets where the blob was redirected to. */
  forget(digest: Digest): void {
    this.#redirects.delete(digest)
  }

  /** Yields at most `range.length` bytes; fewer only together with an `HttpFailure`. */
  async *fetch(home: URL, range: BlobRange, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
    const { url, answer } = await this.#request(home, range, signal)
    const stats = this.#modules.stats
    let skip = answer.statusCode === 200 ? range.offset : 0
    let left = range.length
    try {
      for await (const chunk of answer.body) {
        const bytes = bytesFrom(chunk)
        stats.httpBytes += bytes.length
        const from = Math.min(skip, bytes.length)
        skip -= from
        const piece = bytes.subarray(from, from + left)
        // All of a 206 is read to its end, which comes at once: only then can its connection be
        // used again. What a 200 holds behind the range may be long, so that one is broken off.
        if (left === 0) break
        left -= piece.length
        if (piece.length > 0) yield piece
        if (left === 0 && answer.statusCode === 200) break
      }
    } catch (error) {
      if (left > 0) throw failureFromError(url, error, true)
    }
    if (left === 0) return
    throw new HttpFailure('truncated-answer', `${shownUrl(url)} sent ${left} bytes too few`, {
      retryable: true,
    })
  }

  /** Follows redirects and answers one challenge until there is content. */
  async #request(home: URL, range: BlobRange, signal: AbortSignal): Promise<Reply> {
    const remembered = this.#redirects.get(range.digest)
    if (remembered !== undefined) {
      const { answer } = await this.#send(home, remembered, range, signal)
      if (isContent(answer.statusCode)) return this.#checked({ url: remembered, answer }, range)
      // A signed URL that has expired says so in many ways; the store knows a fresh one.
      this.forget(range.digest)
      discard(answer)
    }
    let url = home
    let challenged = false
    let redirects = 0
    for (;;) {
      const sent = await this.#send(home, url, range, signal)
      const { answer } = sent
      const status = answer.statusCode
      if (isContent(status)) {
        const reply = this.#checked({ url, answer }, range)
        if (url.href !== home.href) this.#redirects.set(range.digest, url)
        return reply
      }
      discard(answer)
      const location = header(answer, 'location')
      if (isRedirect(status) && location !== '') {
        if (redirects++ >= this.#limits.maxRedirects) {
          throw new HttpFailure('fetch-failed', `${shownUrl(home)}: too many redirects`, {
            retryable: false,
          })
        }
        url = redirectTarget(url, location)
        this.#modules.stats.httpRedirects++
        continue
      }
      if (
        status !== 401 ||
        challenged ||
        !(await this.#isAuthorizedAnew(home, url, sent, signal))
      ) {
        throw failureFromStatus(url, status, header(answer, 'retry-after'))
      }
      challenged = true
    }
  }

  /** Whether there are other credentials now than those that were just refused. */
  async #isAuthorizedAnew(home: URL, url: URL, sent: Sent, signal: AbortSignal): Promise<boolean> {
    const { authorizer } = this.#modules
    if (authorizer === undefined || url.origin !== home.origin) return false
    const challenge = header(sent.answer, 'www-authenticate')
    if (await this.#authorized(url, signal, () => authorizer.challenge(url, challenge))) return true
    // Another request may have been challenged, and have got them, while this one was under way.
    const { authorization } = await this.#credentials(home, url, signal)
    return authorization !== undefined && authorization !== sent.credentials['authorization']
  }

  async #credentials(home: URL, url: URL, signal: AbortSignal): Promise<Record<string, string>> {
    const { authorizer } = this.#modules
    if (authorizer === undefined || url.origin !== home.origin) return {}
    return this.#authorized(url, signal, () => authorizer.headersFor(url))
  }

  /** A token server that hangs or fails is a failure of the request, with the request's deadline. */
  async #authorized<T>(url: URL, signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    try {
      return await abortable(ask(), signal)
    } catch (cause) {
      throw new HttpFailure('fetch-failed', `cannot get credentials for ${shownUrl(url)}`, {
        retryable: true,
        cause,
      })
    }
  }

  async #send(home: URL, url: URL, range: BlobRange, signal: AbortSignal): Promise<Sent> {
    const { agent, stats } = this.#modules
    const credentials = await this.#credentials(home, url, signal)
    stats.httpRequests++
    try {
      const answer = await agent.request({
        origin: url.origin,
        path: `${url.pathname}${url.search}`,
        method: 'GET',
        headers: {
          ...credentials,
          range: `bytes=${range.offset}-${range.offset + range.length - 1}`,
          'accept-encoding': 'identity',
          'user-agent': 'thin-snapshotter',
        },
        headersTimeout: this.#limits.headersTimeoutMs,
        bodyTimeout: this.#limits.bodyInactivityTimeoutMs,
        signal,
      })
      return { answer, credentials }
    } catch (error) {
      throw failureFromError(url, error, false)
    }
  }

  /** Refuses content that is not the range asked for, before a byte of it is used. */
  #checked(reply: Reply, range: BlobRange): Reply {
    const { url, answer } = reply
    const refused = this.#reasonToRefuse(answer, range)
    if (refused === undefined) {
      if (answer.statusCode === 200) this.#noteMissingRanges(url)
      return reply
    }
    discard(answer)
    throw new HttpFailure('fetch-failed', `${shownUrl(url)} ${refused}`, {
      retryable: answer.statusCode === 206,
    })
  }

  #reasonToRefuse(answer: Answer, range: BlobRange): string | undefined {
    const encoding = header(answer, 'content-encoding')
    if (encoding !== '' && encoding !== 'identity') return `sent Content-Encoding ${encoding}`
    if (answer.statusCode === 206) {
      const contentRange = header(answer, 'content-range')
      if (isContentRange(contentRange, range.offset, range.length)) return undefined
      const asked = `bytes ${range.offset}-${range.offset + range.length - 1}`
      return `sent Content-Range "${contentRange.slice(0, 100)}" when asked for ${asked}`
    }
    if (range.offset > this.#limits.maxSkippedBytes) {
      return `does not support ranges, and offset ${range.offset} is too far to read up to`
    }
    const length = header(answer, 'content-length')
    if (length !== '' && Number(length) < range.offset + range.length) {
      return `holds ${length} bytes, asked for up to ${range.offset + range.length}`
    }
    return undefined
  }

  #noteMissingRanges(url: URL): void {
    this.#modules.stats.httpRangesIgnored++
    if (this.#warnedOfMissingRanges) return
    this.#warnedOfMissingRanges = true
    this.#modules.log.warn(
      { url: shownUrl(url) },
      'store does not support range requests: blobs are read from their start each time',
    )
  }
}

function isContent(status: number): boolean {
  return status === 200 || status === 206
}

function isRedirect(status: number): boolean {
  return status === 301 || status === 302 || status === 303 || status === 307 || status === 308
}

function redirectTarget(from: URL, location: string): URL {
  const target = URL.canParse(location, from.href) ? new URL(location, from.href) : undefined
  if (target?.protocol === 'http:' || target?.protocol === 'https:') return target
  const shown = location.split('?')[0]?.slice(0, 200)
  throw new HttpFailure('fetch-failed', `${shownUrl(from)} redirects to "${shown ?? ''}"`, {
    retryable: false,
  })
}

function header(answer: Answer, name: string): string {
  const value = answer.headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? ''
}

/** Reads a short body away, so that its connection can be used again; a failure changes nothing. */
function discard(answer: Answer): void {
  answer.body.dump({ limit: MAX_DISCARDED_BYTES }).catch(() => undefined)
}

function bytesFrom(chunk: unknown): Uint8Array {
  if (chunk instanceof Uint8Array) return chunk
  throw new TypeError(`an HTTP body brought ${typeof chunk} instead of bytes`)
}
