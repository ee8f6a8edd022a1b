/** The frames that wait to be fetched, by priority. */
import type { FetchPriority, FrameFlight } from './frame-flight.js'

/** All priorities, the most urgent first. */
export const FETCH_PRIORITIES: readonly FetchPriority[] = [
  'read',
  'ahead',
  'prefetch',
  'background',
]

export class FrameQueue {
  readonly #sets: Readonly<Record<FetchPriority, Set<FrameFlight>>> = {
    read: new Set(),
    ahead: new Set(),
    prefetch: new Set(),
    background: new Set(),
  }

  get size(): number {
    return FETCH_PRIORITIES.reduce((sum, priority) => sum + this.#sets[priority].size, 0)
  }

  sizeOf(priority: FetchPriority): number {
    return this.#sets[priority].size
  }

  /** Adds a flight under its own priority. */
  add(flight: FrameFlight): void {
    this.#sets[flight.priority].add(flight)
  }

  has(flight: FrameFlight): boolean {
    return this.#sets[flight.priority].has(flight)
  }

  /** Removes a flight. Returns whether it was in the queue. */
  delete(flight: FrameFlight): boolean {
    return this.#sets[flight.priority].delete(flight)
  }

  /** The flight that has waited longest; undefined when none waits. */
  first(priority: FetchPriority): FrameFlight | undefined {
    const [first] = this.#sets[priority]
    return first
  }

  /** Removes all flights and returns them. */
  drain(): FrameFlight[] {
    const flights = FETCH_PRIORITIES.flatMap((priority) => [...this.#sets[priority]])
    for (const flight of flights) this.delete(flight)
    return flights
  }
}

/** Whether `one` is more urgent than `other`. */
export function isMoreUrgent(one: FetchPriority, other: FetchPriority): boolean {
  return FETCH_PRIORITIES.indexOf(one) < FETCH_PRIORITIES.indexOf(other)
}
