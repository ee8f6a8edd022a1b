/**
 * Where the frames of a pack are. The table stands at the end of the pack file, in the index of
 * every tree that uses the pack, and in the publisher's database; it is the same everywhere.
 */
import type { Digest } from '../digest.js'

/** One zstd frame: the unit of fetch, verification and caching. */
export interface Frame {
  /** Where its bytes begin in the pack's uncompressed address space. Frames follow each other without gap. */
  readonly rawOffset: number
  /** Uncompressed bytes; 1 to MAX_FRAME_RAW_BYTES. */
  readonly rawSizeBytes: number
  /** Where the compressed frame begins in the pack file. */
  readonly offset: number
  /** Compressed bytes. */
  readonly sizeBytes: number
  /** Of the uncompressed bytes. */
  readonly digest: Digest
}

/** A pack: a run of frames, in one blob of the store. */
export interface PackTable {
  /** Of the pack file as it is stored. */
  readonly digest: Digest
  /** The pack file, the table at its end included. */
  readonly sizeBytes: number
  /** The sum of the frames' `rawSizeBytes`. */
  readonly rawSizeBytes: number
  /** In order of `rawOffset`, which is also the order of `offset`. */
  readonly frames: readonly Frame[]
}

/** Which frame covers `rawOffset` of the pack's uncompressed bytes; the caller has checked that there is one. */
export function frameIndexAt({ frames }: PackTable, rawOffset: number): number {
  let low = 0
  let high = frames.length - 1
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((frames[middle]?.rawOffset ?? 0) <= rawOffset) low = middle
    else high = middle - 1
  }
  return low
}
