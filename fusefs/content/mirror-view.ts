/**
 * The hot path of a warm read: a dispatcher thread reads verified bytes from a pack's mirror file
 * with one pread. Invariant: a byte is returned only when its frame's state was "present" both
 * before and after the read. When a mirror is retired, because it is evicted or closed, all states
 * become absent. No state of the same `MirrorShared` becomes present afterwards. So a read that
 * raced an eviction is always noticed.
 */
import { readSync } from 'node:fs'
import type { Digest } from '../../index-format/index.js'

/** States of a frame in `MirrorShared.state`. */
export const FRAME_ABSENT = 0
/** The frame's verified bytes are completely in the mirror file. */
export const FRAME_PRESENT = 1
/** An earlier process left the frame's bytes. Verify them again before serving them. */
export const FRAME_CLAIMED = 2

/**
 * The data with which a thread reads a pack's mirror. It can be posted to a worker. Two trees may
 * name the same pack with different frame tables, one of which is wrong. They then have different
 * mirrors. So look a mirror up by `id`, never by `digest` alone.
 */
export interface MirrorShared {
  /** The id of pack and frame table together. */
  readonly id: string
  /** The digest of the pack. */
  readonly digest: Digest
  /**
   * The mirror file. It stays open in this process until the store is closed, or `retireDelayMs`
   * after the mirror was retired.
   */
  readonly fd: number
  /** `Float64Array` of n+1 entries for n frames: each frame's offset, then the pack's raw size. */
  readonly rawOffsets: SharedArrayBuffer
  /**
   * `Uint8Array` of n+2 entries for n frames: the state of each frame; then 1 while this mirror is
   * in use, 0 once it was retired; then 1 when a view has read since the store last checked.
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

  /** True once the mirror was evicted or closed. No frame of it is present again: get a new one. */
  get retired(): boolean {
    return Atomics.load(this.#state, this.#frameCount) === 0
  }

  /**
   * Fills `target` from `rawOffset` of the pack's uncompressed address space. Returns false unless
   * all bytes are present; `target` then holds undefined bytes, and the caller must ask the content
   * store.
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
      // The file was closed after an eviction, or the disk fails. The content store, which is asked
      // next, finds out.
      return false
    }
    if (!this.#isPresent(first, end)) return false
    this.#touch()
    return true
  }

  /** Records for eviction that this mirror was read. Usually costs one load. */
  #touch(): void {
    const touched = this.#frameCount + 1
    if (Atomics.load(this.#state, touched) === 0) Atomics.store(this.#state, touched, 1)
  }

  /** The index of the frame that contains `rawOffset`. The caller has checked the bounds. */
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
