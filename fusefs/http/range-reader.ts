/**
 * Reads a range of a resource. Each attempt continues after the last byte that arrived, and all
 * attempts share one deadline. Invariant: before a byte of an answer is used, the answer's headers
 * are checked against the range that was asked for.
 */
import type { Log } from '../log.js'
import type { Answer } from './answer.js'
import { type AskedRange, isContentRange, rangeHeader } from './content-range.js'
import { Deadline } from './deadline.js'
import type { Exchange } from './exchange.js'
import type { HttpClient } from './http-client.js'
import type { HttpCounters } from './http-counters.js'
import type { OriginHealth } from './origin-health.js'
import { failureFromError, HttpFailure, shownUrl } from './http-failure.js'
import type { RangeLimits } from './http-limits.js'
import type { RedirectMemory } from './redirect-memory.js'

export interface RangeQuestion {
  readonly url: URL
  /** The first byte, from 0. */
  readonly offset: number
  /** Bytes to read. Fewer bytes are a failure. */
  readonly length: number
  /**
   * `exact`: the request names the end of the range, and exactly `length` bytes are yielded.
   * `rest`: the request names no end. Bytes beyond `length` are also yielded, so that the caller
   * can see that the content is too long.
   */
  readonly extent: 'exact' | 'rest'
  /** Milliseconds from now, for all attempts and waits together. */
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

export interface RangeReaderModules {
  readonly client: HttpClient
  readonly counters: HttpCounters
  /** Gets one warning about a server without range support. */
  readonly log?: Log
  /** The health of the one server of all ranges. Default: its failures are not remembered. */
  readonly health?: OriginHealth | undefined
  /** Default: every range is requested at its own URL first. */
  readonly redirects?: RedirectMemory
}

export class RangeReader {
  readonly #limits: RangeLimits
  readonly #modules: RangeReaderModules
  #hasWarnedOfMissingRanges = false

  constructor(limits: RangeLimits, modules: RangeReaderModules) {
    this.#limits = limits
    this.#modules = modules
  }

  /** Yields the bytes in order. Throws `HttpFailure` if fewer than `length` bytes can be had. */
  async *stream(question: RangeQuestion): AsyncGenerator<Uint8Array, void, undefined> {
    const deadline = new Deadline(question.signal, question.deadlineMs)
    const attempts = this.#modules.client.attempts()
    let reached = 0
    try {
      for (;;) {
        const before = reached
        try {
          for await (const piece of this.#watched(question, reached, deadline.signal)) {
            reached += piece.length
            yield piece
          }
          return
        } catch (error) {
          if (reached - before >= this.#limits.minProgressBytes) attempts.progressed()
          await attempts.failed(error, deadline)
        }
      }
    } finally {
      deadline.close()
    }
  }

  /** Makes one attempt if the server's health allows it. Reports the outcome to the health. */
  async *#watched(
    question: RangeQuestion,
    reached: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { health } = this.#modules
    if (health === undefined) {
      yield* this.#once(question, reached, signal)
      return
    }
    const admission = health.admit()
    if ('refusal' in admission) throw admission.refusal
    try {
      for await (const piece of this.#once(question, reached, signal)) {
        health.answered()
        yield piece
      }
    } catch (error) {
      if (error instanceof HttpFailure && !signal.aborted) health.failed(error, admission.sinceMs)
      throw error
    }
  }

  async *#once(
    question: RangeQuestion,
    reached: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { extent } = question
    const first = question.offset + reached
    const end = question.offset + question.length
    const asked = { first, last: extent === 'exact' ? end - 1 : undefined }
    const answer = await this.#open(question.url, asked, end, signal)
    let skip = answer.status === 200 ? first : 0
    let left = end - first
    try {
      for await (const bytes of answer.body()) {
        this.#modules.counters.httpBytes += bytes.length
        const from = Math.min(skip, bytes.length)
        skip -= from
        const piece = bytes.subarray(from, extent === 'exact' ? from + left : undefined)
        // The end of a 206 follows at once. It is read, so that the connection can be used again.
        // A 200 may hold much content behind the range, so its connection is closed instead.
        if (extent === 'exact' && left === 0) break
        left -= piece.length
        if (piece.length > 0) yield piece
        if (extent === 'exact' && left === 0 && answer.status === 200) break
      }
    } catch (error) {
      if (left > 0) throw failureFromError(answer.url, error, true)
    }
    if (left <= 0) return
    const message = `${shownUrl(answer.url)} sent ${left} bytes too few`
    throw new HttpFailure('broken-off', message, { retryable: true })
  }

  async #open(url: URL, asked: AskedRange, end: number, signal: AbortSignal): Promise<Answer> {
    const { client, redirects } = this.#modules
    const isWhole = asked.first === 0 && asked.last === undefined
    const exchange: Exchange = {
      method: 'GET',
      url,
      headers: isWhole ? {} : { range: rangeHeader(asked) },
      expect: isWhole ? [200] : [200, 206],
    }
    const redirectedTo = redirects?.endOf(url)
    if (redirectedTo !== undefined) {
      try {
        const answer = await client.open({ ...exchange, redirectedTo, follow: 'none' }, signal)
        return this.#checked(answer, asked, end)
      } catch (error) {
        redirects?.forget(url)
        // An expired signed URL is refused with various statuses. The server redirects to a new
        // one.
        if (!(error instanceof HttpFailure) || error.reason !== 'status') throw error
      }
    }
    const answer = this.#checked(await client.open(exchange, signal), asked, end)
    redirects?.remember(url, answer.url)
    return answer
  }

  /** Throws `unusable-answer` for an answer whose headers do not match the asked range. */
  #checked(answer: Answer, asked: AskedRange, end: number): Answer {
    const refused = this.#reasonToRefuse(answer, asked, end)
    if (refused === undefined) {
      if (answer.status === 200 && asked.last !== undefined) this.#noteMissingRanges(answer.url)
      return answer
    }
    void answer.discard()
    throw new HttpFailure('unusable-answer', `${shownUrl(answer.url)} ${refused}`, {
      retryable: answer.status === 206,
      status: answer.status,
    })
  }

  #reasonToRefuse(answer: Answer, asked: AskedRange, end: number): string | undefined {
    const encoding = answer.header('content-encoding') ?? ''
    if (encoding !== '' && encoding !== 'identity') return `sent Content-Encoding ${encoding}`
    if (answer.status === 206) {
      const contentRange = answer.header('content-range') ?? ''
      if (isContentRange(contentRange, asked)) return undefined
      const sent = `sent Content-Range "${contentRange.slice(0, 100)}"`
      return `${sent} when asked for ${rangeHeader(asked)}`
    }
    if (asked.first > this.#limits.maxSkippedBytes) {
      return `does not support ranges, and offset ${asked.first} is too far to read up to`
    }
    const length = answer.header('content-length') ?? ''
    if (length !== '' && Number(length) < end) {
      return `holds ${length} bytes, asked for up to ${end}`
    }
    return undefined
  }

  #noteMissingRanges(url: URL): void {
    const { counters, log } = this.#modules
    counters.httpRangesIgnored++
    if (this.#hasWarnedOfMissingRanges) return
    this.#hasWarnedOfMissingRanges = true
    log?.warn(
      { url: shownUrl(url) },
      'store does not support range requests: blobs are read from their start each time',
    )
  }
}
