/** Frames that wait to be fetched, by how urgent they are. */
import type { FetchPriority, FrameFlight } from './frame-flight.js'

/** The most urgent first. */
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

  /** Under its own priority. */
  add(flight: FrameFlight): void {
    this.#sets[flight.priority].add(flight)
  }

  has(flight: FrameFlight): boolean {
    return this.#sets[flight.priority].has(flight)
  }

  /** Whether it was there. */
  delete(flight: FrameFlight): boolean {
    return this.#sets[flight.priority].delete(flight)
  }

  /** The one that has waited longest. */
  first(priority: FetchPriority): FrameFlight | undefined {
    const [first] = this.#sets[priority]
    return first
  }

  /** Empties it; returns what was there. */
  drain(): FrameFlight[] {
    const flights = FETCH_PRIORITIES.flatMap((priority) => [...this.#sets[priority]])
    for (const flight of flights) this.delete(flight)
    return flights
  }
}

/** Whether `one` goes before `other`. */
export function isMoreUrgent(one: FetchPriority, other: FetchPriority): boolean {
  return FETCH_PRIORITIES.indexOf(one) < FETCH_PRIORITIES.indexOf(other)
}
