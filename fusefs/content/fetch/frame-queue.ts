/**
 * The frames that wait to be fetched, by priority and then by origin. The origins of a priority
 * take turns, so that frames of one origin do not wait behind those of another.
 */
import type { FetchPriority, FrameFlight } from './frame-flight.js'

/** All priorities, the most urgent first. */
export const FETCH_PRIORITIES: readonly FetchPriority[] = [
  'read',
  'ahead',
  'prefetch',
  'background',
]

/** The flights of one priority, by the origin of their source. No set is empty. */
type OriginQueues = Map<string, Set<FrameFlight>>

export class FrameQueue {
  readonly #queues: Readonly<Record<FetchPriority, OriginQueues>> = {
    read: new Map(),
    ahead: new Map(),
    prefetch: new Map(),
    background: new Map(),
  }
  #size = 0

  get size(): number {
    return this.#size
  }

  /** Adds a flight under its own priority. */
  add(flight: FrameFlight): void {
    const queues = this.#queues[flight.priority]
    const { origin } = flight.source
    const queue = queues.get(origin)
    if (queue?.has(flight) === true) return
    if (queue === undefined) queues.set(origin, new Set([flight]))
    else queue.add(flight)
    this.#size++
  }

  has(flight: FrameFlight): boolean {
    return this.#queues[flight.priority].get(flight.source.origin)?.has(flight) === true
  }

  /** Removes a flight. Returns whether it was in the queue. */
  delete(flight: FrameFlight): boolean {
    const queues = this.#queues[flight.priority]
    const { origin } = flight.source
    const queue = queues.get(origin)
    if (queue?.delete(flight) !== true) return false
    this.#size--
    if (queue.size === 0) queues.delete(origin)
    return true
  }

  /**
   * The flight that has waited longest at the next origin for which `mayStart` returns true. That
   * origin then moves to the end of the order. Undefined when there is no such flight.
   */
  next(priority: FetchPriority, mayStart: (origin: string) => boolean): FrameFlight | undefined {
    const queues = this.#queues[priority]
    for (const [origin, queue] of queues) {
      if (!mayStart(origin)) continue
      queues.delete(origin)
      queues.set(origin, queue)
      const [first] = queue
      return first
    }
    return undefined
  }

  /** Removes all flights and returns them. */
  drain(): FrameFlight[] {
    const flights = FETCH_PRIORITIES.flatMap((priority) =>
      [...this.#queues[priority].values()].flatMap((queue) => [...queue]),
    )
    for (const flight of flights) this.delete(flight)
    return flights
  }
}

/** Whether `one` is more urgent than `other`. */
export function isMoreUrgent(one: FetchPriority, other: FetchPriority): boolean {
  return FETCH_PRIORITIES.indexOf(one) < FETCH_PRIORITIES.indexOf(other)
}
