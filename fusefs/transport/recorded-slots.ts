/**
 * Which trees' READs are recorded: one bit for each slot, in memory that server and dispatchers
 * share, so that asking costs a dispatcher one load while nothing is recorded.
 */
import { SLOT_LIMIT } from '../trees/tree-registry.js'

export class RecordedSlots {
  readonly shared: SharedArrayBuffer
  readonly #bits: Int32Array

  /** `shared`: that of the server's; a fresh one, all off, when absent. */
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
