/** One frame on its way: any number of readers wait for one fetch of it. */
import type { BlobSource } from '../blob-source.js'
import type { PackEntry } from '../pack-entry.js'

/**
 * Who wants a frame, the most urgent first: somebody waits for it, somebody who reads in sequence
 * will want it next, a start will want it, nobody wants it yet.
 */
export type FetchPriority = 'read' | 'ahead' | 'prefetch' | 'background'

export class FrameFlight {
  readonly entry: PackEntry
  readonly frameIndex: number
  readonly source: BlobSource
  /** All flights of the same pack under way, this one among them, by frame index. */
  readonly packFlights: Map<number, FrameFlight>
  readonly decoded: Promise<Uint8Array>
  priority: FetchPriority
  /** Readers that still want it. */
  waiters = 0
  /** Times its bytes did not verify. */
  failedChecks = 0
  isSettled = false
  /** Aborts the range it is part of; undefined while it is queued. */
  range: AbortController | undefined
  readonly #resolve: (raw: Uint8Array) => void
  readonly #reject: (error: unknown) => void

  constructor(options: {
    entry: PackEntry
    frameIndex: number
    source: BlobSource
    priority: FetchPriority
    packFlights: Map<number, FrameFlight>
  }) {
    this.entry = options.entry
    this.frameIndex = options.frameIndex
    this.source = options.source
    this.packFlights = options.packFlights
    this.priority = options.priority
    const { promise, resolve, reject } = settleable<Uint8Array>()
    this.decoded = promise
    this.#resolve = resolve
    this.#reject = reject
    // A flight that everybody left may still fail.
    promise.catch(() => undefined)
  }

  deliver(raw: Uint8Array): void {
    this.#settle()
    this.#resolve(raw)
  }

  fail(error: unknown): void {
    this.#settle()
    this.#reject(error)
  }

  /** From here on a new reader starts a new flight. */
  #settle(): void {
    this.isSettled = true
    const { packFlights, frameIndex } = this
    if (packFlights.get(frameIndex) === this) packFlights.delete(frameIndex)
  }
}

function settleable<T>(): {
  promise: Promise<T>
  resolve: (value: T) => void
  reject: (error: unknown) => void
} {
  let resolve: (value: T) => void = () => undefined
  let reject: (error: unknown) => void = () => undefined
  const promise = new Promise<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
