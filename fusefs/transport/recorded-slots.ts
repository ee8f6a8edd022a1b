/**
 * The set of trees whose requests are recorded. It has one bit for each slot, in memory that the
 * server and its dispatchers share. So a dispatcher needs one load to see that a tree is not
 * recorded.
 */
import { SLOT_LIMIT } from '../trees/tree-registry.js'

export class RecordedSlots {
  readonly shared: SharedArrayBuffer
  readonly #bits: Int32Array

  /** `shared`: the memory of an existing set. Default: new memory, with an empty set. */
  constructor(shared = new SharedArrayBuffer(SLOT_LIMIT / 8)) {
    this.shared = shared
    this.#bits = new Int32Array(shared)
  }

  has(slot: number): boolean {
    return (Atomics.load(this.#bits, slot >>> 5) & (1 << (slot & 31))) !== 0
  }

  add(slot: number): void {
    Atomics.or(this.#bits, slot >>> 5, 1 << (slot & 31))
  }

  delete(slot: number): void {
    Atomics.and(this.#bits, slot >>> 5, ~(1 << (slot & 31)))
  }
}
