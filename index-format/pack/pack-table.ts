/**
 * The table of a pack: where its frames are. The table is at the end of the pack file, in the index
 * of every tree that uses the pack, and in the publisher's database. It is the same everywhere.
 */
import type { Digest } from '../digest.js'

/** One zstd frame: the unit of fetch, verification and caching. */
export interface Frame {
  /** Where its bytes begin in the pack's uncompressed address space. Frames leave no gaps. */
  readonly rawOffset: number
  /** Uncompressed bytes; 1 to MAX_FRAME_RAW_BYTES. */
  readonly rawSizeBytes: number
  /** Where the compressed frame begins in the pack file. */
  readonly offset: number
  /** Compressed bytes. */
  readonly sizeBytes: number
  /** Digest of the uncompressed bytes. */
  readonly digest: Digest
}

/** A pack: a run of frames, in one blob of the store. */
export interface PackTable {
  /** Digest of the pack file as it is stored. */
  readonly digest: Digest
  /** Bytes of the pack file, including the table at its end. */
  readonly sizeBytes: number
  /** The sum of the frames' `rawSizeBytes`. */
  readonly rawSizeBytes: number
  /** In order of `rawOffset`, which is also the order of `offset`. */
  readonly frames: readonly Frame[]
}

/** The number of the frame that covers `rawOffset`. The caller has checked that there is one. */
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
