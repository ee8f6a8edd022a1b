/**
 * Failures of content that cannot pass, remembered for a moment. Reads of the same content fail at
 * once meanwhile, so that a program that reads a thousand pages of a blob that is not there makes
 * one request and not a thousand.
 */
import { LRUCache } from 'lru-cache'
import type { FusefsError } from '../../errors.js'
import { HttpFailure } from '../../http/http-failure.js'
import { MAX_REMEMBERED_FAULTS } from '../content-limits.js'
import type { FrameFlight } from './frame-flight.js'

/** A frame and the source that it is asked of. */
type WantedFrame = Pick<FrameFlight, 'entry' | 'frameIndex' | 'source'>

export class KnownFailures {
  readonly #errors: LRUCache<string, FusefsError>

  /** `now`: milliseconds that only grow. */
  constructor(options: { knownFailureMs: number }, now: () => number) {
    // Without a resolution the cache remembers the time it last saw for a moment of real time.
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

  /** Why this frame has just failed; undefined when that is not known. */
  of(frame: WantedFrame): FusefsError | undefined {
    return this.#errors.get(blobKey(frame)) ?? this.#errors.get(frameKey(frame))
  }
}

function blobKey({ entry, source }: WantedFrame): string {
  return `${source.name} ${entry.table.digest}`
}

/** Names the frame by the table, too: another table for the same pack may be right. */
function frameKey({ entry, frameIndex, source }: WantedFrame): string {
  return `${source.name} ${entry.id} ${frameIndex}`
}

/**
 * What a server's failure tells of: the whole blob, or one range, as status 416 does. `nothing` for
 * a failure without a server, such as that of a folder, which costs nothing to be asked again.
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
