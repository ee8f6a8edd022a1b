/** A frame that is being fetched. Any number of readers wait for one fetch of it. */
import type { BlobSource } from '../blob-source.js'
import type { PackEntry } from '../pack-entry.js'

/**
 * Why a frame is fetched, the most urgent first:
 * - `read`: a read waits for the frame.
 * - `ahead`: a sequential reader will want the frame next.
 * - `prefetch`: the start of a container will want the frame.
 * - `background`: the image is completed; nothing is known to want the frame.
 */
export type FetchPriority = 'read' | 'ahead' | 'prefetch' | 'background'

export class FrameFlight {
  readonly entry: PackEntry
  readonly frameIndex: number
  readonly source: BlobSource
  /** All flights of the same pack under way, this one among them, by frame index. */
  readonly packFlights: Map<number, FrameFlight>
  /** The frame's verified bytes. */
  readonly decoded: Promise<Uint8Array>
  priority: FetchPriority
  /** Number of readers that still want the frame. */
  waiters = 0
  /** How many times the frame's bytes did not verify. */
  failedChecks = 0
  isSettled = false
  /** Aborts the range request that fetches the frame. Undefined while the frame is queued. */
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
    // A flight that all readers have left may still fail. That must not count as unhandled.
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

  /** Ends the flight. A reader that comes later starts a new one. */
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
