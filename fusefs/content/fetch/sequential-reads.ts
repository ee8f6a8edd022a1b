/**
 * Notices who reads a pack from front to back, and says how far to fetch ahead of them. A file has
 * its frames in order, and so have neighbouring files of a tree: both look the same here. Nothing is
 * fetched ahead beyond as many bytes as were read in sequence before, so a guess that turns out
 * wrong costs at most what was right.
 */
import { LRUCache } from 'lru-cache'
import type { PackTable } from '../../../index-format/index.js'
import { frameOf } from '../pack-entry.js'

/** Frames from `first` up to, and without, `end`. */
export interface FrameRun {
  readonly first: number
  readonly end: number
}

interface Sequence {
  /** The frame it began with. */
  readonly start: number
  /** How often it was read on. */
  steps: number
  /** The newest frame that was read. */
  position: number
  /** The first frame that has not been asked for. */
  ahead: number
}

/** Packs whose readers are remembered, and readers of each. */
const MAX_PACKS = 1024
const MAX_SEQUENCES = 4
/**
 * How often a reader has read on before it counts as one that will. One step alone is often a program that jumps about
 * in a large file, of which the kernel reads a MiB around each page.
 */
const MIN_STEPS = 2

export class SequentialReads {
  readonly #maxAheadBytes: number
  readonly #sequences = new LRUCache<string, Sequence[]>({ max: MAX_PACKS })

  /** `maxAheadBytes`: compressed, ahead of one reader. */
  constructor(options: { maxAheadBytes: number }) {
    this.#maxAheadBytes = options.maxAheadBytes
  }

  /**
   * A read of `first` up to `last` had to wait; returns what to fetch besides, if anything. Reads
   * that are answered from the cache need not be told.
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
    // In large steps: each is a request.
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
