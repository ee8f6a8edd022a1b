/**
 * The hot path of a warm read: a dispatcher thread reads verified bytes out of a pack's mirror file
 * with one pread. Invariant: a byte is handed out only when its frame's state was "present" both
 * before and after the read; states of one `MirrorShared` only ever go up to present and then, once
 * and for good, down at eviction, so a read that raced an eviction is always seen.
 */
import { readSync } from 'node:fs'
import type { Digest } from '../../index-format/index.js'

/** States of a frame in `MirrorShared.state`. */
export const FRAME_ABSENT = 0
/** Verified, and wholly in the mirror file. */
export const FRAME_PRESENT = 1
/** An earlier process left it; must be verified again before it is served. */
export const FRAME_CLAIMED = 2

/**
 * What a thread needs to read a pack's mirror; can be posted to a worker. Two trees may name the
 * same pack with different frame tables (one of them lies), and then have different mirrors: look a
 * mirror up by `id`, never by `digest` alone.
 */
export interface MirrorShared {
  /** Of pack and frame table together; see `ContentStore.mirror`. */
  readonly id: string
  /** The pack. */
  readonly digest: Digest
  /** The mirror file, open in this process until the store is closed or a while after eviction. */
  readonly fd: number
  /** `Float64Array` of n+1 entries for n frames: where each frame begins, then the raw size of the pack. */
  readonly rawOffsets: SharedArrayBuffer
  /**
   * `Uint8Array` of n+2 entries: a state for each frame; then 1 while this mirror is in use, 0 once
   * it was evicted; then 1 when a view has read since the store last looked.
   */
  readonly state: SharedArrayBuffer
}

/** One thread's reader of one mirror. Holds nothing that must be closed. */
export class MirrorView {
  readonly id: string
  readonly #fd: number
  readonly #rawOffsets: Float64Array
  readonly #state: Uint8Array
  readonly #frameCount: number

  constructor(shared: MirrorShared) {
    this.id = shared.id
    this.#fd = shared.fd
    this.#rawOffsets = new Float64Array(shared.rawOffsets)
    this.#state = new Uint8Array(shared.state)
    this.#frameCount = this.#state.length - 2
  }

  /** True once the mirror was evicted: nothing will ever be present again, ask for a new one. */
  get retired(): boolean {
    return Atomics.load(this.#state, this.#frameCount) === 0
  }

  /**
   * Fills `target` from `rawOffset` of the pack's uncompressed address space. False, with undefined
   * bytes in `target`, unless all of it is present; the caller then asks the content store.
   */
  tryReadSync(target: Uint8Array, rawOffset: number): boolean {
    const end = rawOffset + target.length
    if (rawOffset < 0 || end > (this.#rawOffsets[this.#frameCount] ?? 0)) return false
    if (target.length === 0) return true
    const first = this.#frameAt(rawOffset)
    if (!this.#isPresent(first, end)) return false
    let filled = 0
    try {
      while (filled < target.length) {
        const count = readSync(this.#fd, target, filled, target.length - filled, rawOffset + filled)
        if (count === 0) return false
        filled += count
      }
    } catch {
      // Closed after an eviction, or a failing disk: the store, asked next, finds out which.
      return false
    }
    if (!this.#isPresent(first, end)) return false
    this.#touch()
    return true
  }

  /** Keeps what is read here from being the least recently used. Mostly a load, hardly ever a store. */
  #touch(): void {
    const touched = this.#frameCount + 1
    if (Atomics.load(this.#state, touched) === 0) Atomics.store(this.#state, touched, 1)
  }

  /** The frame that `rawOffset` lies in; the caller has checked the bounds. */
  #frameAt(rawOffset: number): number {
    let low = 0
    let high = this.#frameCount - 1
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if ((this.#rawOffsets[middle] ?? 0) <= rawOffset) low = middle
      else high = middle - 1
    }
    return low
  }

  #isPresent(first: number, end: number): boolean {
    for (let i = first; i < this.#frameCount && (this.#rawOffsets[i] ?? 0) < end; i++) {
      if (Atomics.load(this.#state, i) !== FRAME_PRESENT) return false
    }
    return true
  }
}
