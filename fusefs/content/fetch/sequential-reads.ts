/**
 * Notices readers that read a pack from front to back, and says how far to fetch ahead of each. A
 * file has its frames in order, and so have neighbouring files of a tree. Both look the same here.
 * At most as many bytes are fetched ahead as were read in sequence before. So a wrong guess costs
 * at most as many bytes as were guessed right.
 */
import { LRUCache } from 'lru-cache'
import type { PackTable } from '../../../index-format/index.js'
import { frameOf } from '../pack-entry.js'

/** The frames from `first` up to, but not including, `end`. */
export interface FrameRun {
  readonly first: number
  readonly end: number
}

interface Sequence {
  /** The frame with which the sequence began. */
  readonly start: number
  /** How many times a read continued the sequence. */
  steps: number
  /** The last frame that was read. */
  position: number
  /** The first frame after those that were read or fetched ahead. */
  ahead: number
}

/** Packs whose readers are remembered, and readers that are remembered for each pack. */
const MAX_PACKS = 1024
const MAX_SEQUENCES = 4
/**
 * Steps after which a reader counts as sequential. A reader with one step is often a program that
 * jumps about in a large file: the kernel reads one MiB around each page.
 */
const MIN_STEPS = 2

export class SequentialReads {
  readonly #maxAheadBytes: number
  readonly #sequences = new LRUCache<string, Sequence[]>({ max: MAX_PACKS })

  /** `maxAheadBytes`: compressed bytes fetched ahead of one reader. */
  constructor(options: { maxAheadBytes: number }) {
    this.#maxAheadBytes = options.maxAheadBytes
  }

  /**
   * Call this when a read of the frames `first` to `last` had to wait. Returns the frames to fetch
   * ahead, if any. Reads that are answered from the cache need not be noted. `id`: id of pack and
   * table.
   */
  note(id: string, table: PackTable, first: number, last: number): FrameRun | undefined {
    const known = this.#sequences.get(id) ?? []
    this.#sequences.set(id, known)
    const sequence = known.find(({ start, ahead }) => first >= start && first <= ahead)
    if (sequence === undefined) {
      if (known.length >= MAX_SEQUENCES) known.shift()
      known.push({ start: first, steps: 0, position: last, ahead: last + 1 })
      return undefined
    }
    if (last <= sequence.position) return undefined
    sequence.position = last
    sequence.ahead = Math.max(sequence.ahead, last + 1)
    sequence.steps++
    if (sequence.steps < MIN_STEPS) return undefined
    return this.#extended(table, sequence)
  }

  #extended(table: PackTable, sequence: Sequence): FrameRun | undefined {
    const { start, position, ahead: first } = sequence
    const at = frameOf(table, position).offset
    const windowBytes = Math.min(this.#maxAheadBytes, at - frameOf(table, start).offset)
    const aheadBytes = (table.frames[first]?.offset ?? table.sizeBytes) - at
    // Go ahead in large steps, because each step is a request.
    if (aheadBytes > windowBytes / 2 && first > position + 1) return undefined
    let end = first
    while (end < table.frames.length && endOf(table, end) <= at + windowBytes) end++
    if (end === first) return undefined
    sequence.ahead = end
    return { first, end }
  }
}

function endOf(table: PackTable, frameIndex: number): number {
  const { offset, sizeBytes } = frameOf(table, frameIndex)
  return offset + sizeBytes
}
