/**
 * Remembers permanent failures of content for a moment. During that time, reads of the same content
 * fail at once. A program that reads a thousand pages of a missing blob then causes one request and
 * not a thousand.
 */
import { LRUCache } from 'lru-cache'
import type { FusefsError } from '../../errors.js'
import { HttpFailure } from '../../http/http-failure.js'
import { MAX_REMEMBERED_FAULTS } from '../content-limits.js'
import type { FrameFlight } from './frame-flight.js'

/** A frame and the source that it is requested from. */
type WantedFrame = Pick<FrameFlight, 'entry' | 'frameIndex' | 'source'>

export class KnownFailures {
  readonly #errors: LRUCache<string, FusefsError>

  /** `now`: milliseconds that only grow. */
  constructor(options: { knownFailureMs: number }, now: () => number) {
    // With the default of 1, the cache would reuse one reading of the clock for 1 ms of real time.
    this.#errors = new LRUCache({
      max: MAX_REMEMBERED_FAULTS,
      ttl: options.knownFailureMs,
      ttlResolution: 0,
      perf: { now },
    })
  }

  /** Remembers why a frame failed, unless the failure may pass. */
  note(frame: WantedFrame, error: FusefsError): void {
    if (error.retryForMs > 0) return
    if (error.code === 'verification-failed') {
      this.#errors.set(frameKey(frame), error)
      return
    }
    if (error.code !== 'blob-not-found' && error.code !== 'fetch-failed') return
    const scope = scopeOf(error)
    if (scope === 'nothing') return
    this.#errors.set(scope === 'blob' ? blobKey(frame) : frameKey(frame), error)
  }

  /** The error with which this frame has just failed; undefined if none is remembered. */
  of(frame: WantedFrame): FusefsError | undefined {
    return this.#errors.get(blobKey(frame)) ?? this.#errors.get(frameKey(frame))
  }
}

function blobKey({ entry, source }: WantedFrame): string {
  return `${source.name} ${entry.table.digest}`
}

/** The key includes the frame table, because another table of the same pack may be right. */
function frameKey({ entry, frameIndex, source }: WantedFrame): string {
  return `${source.name} ${entry.id} ${frameIndex}`
}

/**
 * The content that a server's failure concerns: the whole blob or, for example with status 416, one
 * range. `nothing` for a failure without a server, such as the failure of a folder: asking a folder
 * again costs nothing.
 */
function scopeOf(error: unknown): 'blob' | 'range' | 'nothing' {
  if (error instanceof AggregateError) {
    const scopes = error.errors.map(scopeOf)
    if (scopes.includes('range')) return 'range'
    return scopes.includes('blob') ? 'blob' : 'nothing'
  }
  if (error instanceof HttpFailure) {
    return error.reason === 'status' && error.status !== 416 ? 'blob' : 'range'
  }
  return error instanceof Error && error.cause !== undefined ? scopeOf(error.cause) : 'nothing'
}
