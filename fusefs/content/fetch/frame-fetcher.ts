/**
 * Fetches frames. Any number of readers share one flight of a frame. Neighbouring frames share one
 * range request. Reads go before prefetch, and the number of requests is bounded. A frame is
 * delivered as soon as it has arrived and verified. A frame that does not verify is fetched once
 * more, and then fails.
 */
import type { Frame } from '../../../index-format/index.js'
import { FusefsError } from '../../errors.js'
import type { BlobSource } from '../blob-source.js'
import type { ContentStats } from '../content-stats.js'
import type { FaultLog } from '../fault-log.js'
import type { FrameDecoder } from '../frame-decoder.js'
import type { ContentLimits } from '../content-limits.js'
import { frameOf, type PackEntry } from '../pack-entry.js'
import type { FetchPlace } from './fetch-place.js'
import { FetchTraffic } from './fetch-traffic.js'
import { FrameAssembler } from './frame-assembler.js'
import { type FetchPriority, FrameFlight } from './frame-flight.js'
import { KnownFailures } from './known-failures.js'
import { FETCH_PRIORITIES, FrameQueue, isMoreUrgent } from './frame-queue.js'

interface Modules {
  readonly decoder: FrameDecoder
  readonly faults: FaultLog
  readonly stats: ContentStats
  /** Called with each verified frame, before its readers get it. */
  readonly onFrame: (entry: PackEntry, frameIndex: number, raw: Uint8Array) => void
  /** Milliseconds that only grow. */
  readonly now: () => number
  /** Resolves when there is room for more decoded frames. */
  readonly room: () => Promise<void>
}

/**
 * Failed checks after which a frame fails, unless another store is left that has not sent wrong
 * bytes. Until then the frame is fetched again, from another store if possible.
 */
const MAX_FAILED_CHECKS = 2
/** Frames of one range that are decoded at a time while the range goes on arriving. */
const MAX_DECODING = 4

export class FrameFetcher {
  readonly #limits: ContentLimits
  readonly #modules: Modules
  /** Frames being fetched, by frame index. An entry that the content store forgets goes from here too. */
  readonly #flights = new WeakMap<PackEntry, Map<number, FrameFlight>>()
  readonly #queue = new FrameQueue()
  readonly #traffic: FetchTraffic
  readonly #known: KnownFailures
  readonly #running = new Set<Promise<void>>()
  readonly #ranges = new Set<AbortController>()
  #isScheduled = false
  #isClosed = false

  constructor(limits: ContentLimits, modules: Modules) {
    this.#limits = limits
    this.#modules = modules
    this.#known = new KnownFailures(limits, modules.now)
    this.#traffic = new FetchTraffic(limits, () => {
      this.#schedule()
    })
  }

  /** Number of range requests under way, and of frames that wait for one. */
  get load(): { ranges: number; queuedFrames: number } {
    return { ranges: this.#running.size, queuedFrames: this.#queue.size }
  }

  isFetching(entry: PackEntry, frameIndex: number): boolean {
    return this.#flights.get(entry)?.has(frameIndex) === true
  }

  /**
   * The flight of a frame, a new one if there is none. The caller awaits its `decoded` and then
   * calls `leave`. A new flight fails at once with `aborted` after `close`, and with `fetch-failed`
   * when `maxQueuedFrames` are queued.
   */
  join(want: {
    entry: PackEntry
    frameIndex: number
    source: BlobSource
    priority: FetchPriority
  }): FrameFlight {
    const packFlights = this.#flightsOf(want.entry)
    const known = packFlights.get(want.frameIndex)
    if (known !== undefined) {
      known.waiters++
      this.#modules.stats.framesShared++
      this.#raise(known, want.priority)
      return known
    }
    const flight = new FrameFlight({ ...want, packFlights })
    flight.waiters = 1
    if (this.#hasJustFailed(flight)) return flight
    if (this.#isClosed) {
      flight.fail(new FusefsError('aborted', 'the content store is closed'))
    } else if (this.load.queuedFrames >= this.#limits.maxQueuedFrames) {
      const message = `${this.#limits.maxQueuedFrames} frames wait to be fetched, too many`
      flight.fail(new FusefsError('fetch-failed', message))
    } else {
      packFlights.set(want.frameIndex, flight)
      this.#enqueue(flight)
    }
    return flight
  }

  /**
   * Ends the use of a flight by one reader. A frame without readers is not fetched, with one
   * exception. If the last reader's time limit has passed (`isLate`), a request under way goes on.
   * Over a slow connection, the reader's next attempt then finds the frames of this request.
   * Returns true in this case: the caller must keep the pack's entry until the flight has settled.
   */
  leave(flight: FrameFlight, { isLate = false } = {}): boolean {
    flight.waiters--
    if (flight.waiters > 0 || flight.isSettled) return false
    if (isLate && flight.range !== undefined) return true
    if (flight.range === undefined) {
      this.#queue.delete(flight)
      flight.fail(new FusefsError('aborted', 'nobody waits for this frame any more'))
      return false
    }
    const { range } = flight
    const others = [...flight.packFlights.values()].filter((other) => other.range === range)
    if (others.some((other) => other.waiters > 0)) return false
    // Fail the flights now and not when the abort takes effect. A reader that comes in between then
    // starts a new flight.
    for (const other of others) other.fail(new FusefsError('aborted', 'nobody waits any more'))
    range.abort()
    return false
  }

  /** Fails all flights with `aborted` and aborts the requests under way. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    for (const flight of this.#queue.drain()) {
      flight.fail(new FusefsError('aborted', 'the content store was closed'))
    }
    for (const range of this.#ranges) range.abort()
    this.#traffic.wake()
    await Promise.all(this.#running)
  }

  #flightsOf(entry: PackEntry): Map<number, FrameFlight> {
    const known = this.#flights.get(entry)
    if (known !== undefined) return known
    const flights = new Map<number, FrameFlight>()
    this.#flights.set(entry, flights)
    return flights
  }

  #raise(flight: FrameFlight, priority: FetchPriority): void {
    if (!isMoreUrgent(priority, flight.priority)) return
    const isQueued = this.#queue.delete(flight)
    flight.priority = priority
    if (isQueued) this.#enqueue(flight)
    else this.#traffic.wake()
  }

  #enqueue(flight: FrameFlight): void {
    flight.range = undefined
    this.#queue.add(flight)
    this.#schedule()
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    // Readers in one turn of the event loop often want neighbouring frames. Wait for all of them.
    setImmediate(() => {
      this.#isScheduled = false
      this.#startRanges()
    })
  }

  /** Fails the flight if the failure of its frame is remembered. Returns whether it did. */
  #hasJustFailed(flight: FrameFlight): boolean {
    const known = this.#known.of(flight)
    if (known === undefined) return false
    this.#modules.stats.knownFailures++
    flight.fail(known)
    return true
  }

  #startRanges(): void {
    for (let first = this.#nextFlight(); first !== undefined; first = this.#nextFlight()) {
      if (this.#hasJustFailed(first)) {
        this.#queue.delete(first)
        continue
      }
      const flights = this.#neighbours(first)
      for (const flight of flights) this.#queue.delete(flight)
      const { priority, source } = first
      const place = this.#traffic.started(priority, source.origin)
      const run = this.#fetchRange(flights, source, place).finally(() => {
        this.#running.delete(run)
        this.#traffic.ended(place, source.origin)
      })
      this.#running.add(run)
    }
  }

  #nextFlight(): FrameFlight | undefined {
    for (const priority of FETCH_PRIORITIES) {
      const first = this.#queue.next(priority, (origin) => this.#traffic.mayStart(priority, origin))
      if (first !== undefined) return first
    }
    return undefined
  }

  /** `first` and the queued frames around it that can share its range request, in order. */
  #neighbours(first: FrameFlight): FrameFlight[] {
    const { packFlights } = first
    const { table } = first.entry
    const { maxGapBytes } = this.#limits
    const maxBytes = this.#maxRangeBytes(first.priority)
    let start = frameOf(table, first.frameIndex).offset
    let end = start + frameOf(table, first.frameIndex).sizeBytes
    const found = [first]
    const take = (step: 1 | -1): void => {
      for (let i = first.frameIndex + step; i >= 0 && i < table.frames.length; i += step) {
        const frame = frameOf(table, i)
        const frameEnd = frame.offset + frame.sizeBytes
        const gap = step === 1 ? frame.offset - end : start - frameEnd
        const span = Math.max(end, frameEnd) - Math.min(start, frame.offset)
        if (gap > maxGapBytes || span > maxBytes) return
        const flight = packFlights.get(i)
        if (flight === undefined || !this.#canShareRange(first, flight)) continue
        start = Math.min(start, frame.offset)
        end = Math.max(end, frameEnd)
        found.push(flight)
      }
    }
    take(1)
    take(-1)
    return found.sort((a, b) => a.frameIndex - b.frameIndex)
  }

  #canShareRange(first: FrameFlight, other: FrameFlight): boolean {
    if (other.source !== first.source || !this.#queue.has(other)) return false
    // Frames after those of a read do not delay the read, and sharing its request saves one.
    const isBehind = other.priority === 'ahead' && other.frameIndex > first.frameIndex
    return other.priority === first.priority || (first.priority === 'read' && isBehind)
  }

  #maxRangeBytes(priority: FetchPriority): number {
    switch (priority) {
      case 'read':
      case 'ahead':
        return this.#limits.maxReadRangeBytes
      case 'prefetch':
        return this.#limits.maxPrefetchRangeBytes
      case 'background':
        return this.#limits.maxBackgroundRangeBytes
    }
  }

  async #fetchRange(
    flights: readonly FrameFlight[],
    source: BlobSource,
    place: FetchPlace,
  ): Promise<void> {
    const { stats } = this.#modules
    const range = new AbortController()
    for (const flight of flights) flight.range = range
    this.#ranges.add(range)
    stats.rangesFetched++
    if (flights.length > 1) stats.framesCoalesced += flights.length
    try {
      await this.#receive(flights, source, { signal: range.signal, place })
    } catch (error) {
      const failure = fusefsErrorOf(error)
      if (failure.code !== 'aborted') this.#noteFetchFailure(flights, source, failure)
      for (const flight of flights) {
        if (flight.isSettled || flight.range !== range) continue
        this.#known.note(flight, failure)
        flight.fail(failure)
      }
    } finally {
      this.#ranges.delete(range)
    }
  }

  async #receive(
    flights: readonly FrameFlight[],
    source: BlobSource,
    { signal, place }: { signal: AbortSignal; place: FetchPlace },
  ): Promise<void> {
    const frames = flights.map((flight) => frameOf(flight.entry.table, flight.frameIndex))
    const [head] = frames
    const last = frames.at(-1)
    const [flight] = flights
    if (head === undefined || last === undefined || flight === undefined) return
    const { digest } = flight.entry.table
    const length = last.offset + last.sizeBytes - head.offset
    const assembler = new FrameAssembler(
      flights.map((tag, i) => wantedFrame(tag, frames[i] ?? head, head.offset)),
    )
    const decoding = new Set<Promise<void>>()
    const urgency = (): FetchPriority => urgencyOf(flights, signal)
    let received = 0
    place.waits()
    try {
      for await (const piece of source.stream({ digest, offset: head.offset, length }, signal)) {
        place.progressed()
        received += piece.length
        this.#modules.stats.bytesFetched += piece.length
        for (const { tag, compressed } of assembler.push(piece)) {
          const work = this.#decode(tag, compressed).finally(() => decoding.delete(work))
          decoding.add(work)
          if (decoding.size >= MAX_DECODING) await Promise.race(decoding)
        }
        await this.#modules.room()
        if (await this.#traffic.admit(piece.length, urgency)) this.#modules.stats.prefetchPauses++
        place.waits()
      }
    } finally {
      await Promise.all(decoding)
    }
    if (received < length) {
      const message = `${source.name}: blob ${digest} ended after ${received} of ${length} bytes`
      throw new FusefsError('truncated-answer', message)
    }
  }

  /** Never rejects: the failure of one frame does not concern the other frames of the range. */
  async #decode(flight: FrameFlight, compressed: Uint8Array): Promise<void> {
    const { decoder, stats, onFrame } = this.#modules
    const { entry, frameIndex } = flight
    const frame = frameOf(entry.table, frameIndex)
    let raw: Uint8Array
    try {
      raw = await decoder.decode(frame, compressed)
    } catch (cause) {
      this.#refuse(flight, frame, cause)
      return
    }
    stats.framesDecoded++
    stats.bytesDecoded += raw.length
    onFrame(entry, frameIndex, raw)
    flight.deliver(raw)
  }

  #refuse(flight: FrameFlight, frame: Frame, cause: unknown): void {
    const { stats, faults } = this.#modules
    const { digest } = flight.entry.table
    stats.verifyFailures++
    flight.failedChecks++
    const isAnotherLeft = flight.source.distrust(digest)
    const where = `frame at ${frame.offset} of pack ${digest} from ${flight.source.name}`
    const error = new FusefsError(
      'verification-failed',
      `${where}: its bytes do not have the digest ${frame.digest}`,
      { cause },
    )
    const subject = subjectOf(flight.source, digest)
    faults.note({ subject, cause: error.code, error, message: 'store sent wrong bytes' })
    const isHopeless = flight.failedChecks >= MAX_FAILED_CHECKS && !isAnotherLeft
    if (isHopeless || this.#isClosed || flight.waiters === 0) {
      if (isHopeless) this.#known.note(flight, error)
      flight.fail(error)
    } else {
      this.#enqueue(flight)
    }
  }

  #noteFetchFailure(flights: readonly FrameFlight[], source: BlobSource, error: FusefsError): void {
    const [flight] = flights
    this.#modules.stats.fetchFailures++
    this.#modules.faults.note({
      subject: subjectOf(source, flight?.entry.table.digest ?? ''),
      cause: error.code,
      error,
      message: 'cannot fetch content',
    })
  }
}

/**
 * The highest priority among those frames of a request that have not arrived yet. When the request
 * was aborted or all its frames have arrived, the result is `read`, so that it does not pause. Such
 * a request would wait for itself to end.
 */
function urgencyOf(flights: readonly FrameFlight[], signal: AbortSignal): FetchPriority {
  if (signal.aborted || flights.every(({ isSettled }) => isSettled)) return 'read'
  let urgency: FetchPriority = 'background'
  for (const { isSettled, priority } of flights) {
    if (!isSettled && isMoreUrgent(priority, urgency)) urgency = priority
  }
  return urgency
}

/** The subject of a failure in the fault log: the server and the blob. */
function subjectOf({ origin, name }: BlobSource, digest: string): string {
  return `${origin === '' ? name : origin} ${digest}`
}

function wantedFrame(
  tag: FrameFlight,
  frame: Frame,
  rangeOffset: number,
): { offset: number; sizeBytes: number; tag: FrameFlight } {
  return { offset: frame.offset - rangeOffset, sizeBytes: frame.sizeBytes, tag }
}

/** Turns any error that a source threw into a `FusefsError`. */
function fusefsErrorOf(error: unknown): FusefsError {
  if (error instanceof FusefsError) return error
  return new FusefsError('fetch-failed', `content could not be fetched: ${String(error)}`, {
    cause: error,
  })
}
