/**
 * A start: the bytes that a program will read first, and the source of that knowledge. The source
 * is the image (a published start), this node (learned), another node (shared), or the publisher's
 * guess. `StartPrefetcher.prefetch` fetches the bytes of all kinds.
 */
import type { PageRun } from '../../../fusefs/index.js'
import type { Index, PackTable } from '../../../index-format/index.js'

/** The source of a start, as logs name it. `image`: it was published with the image. */
export type StartOrigin = 'image' | 'guess' | 'learned' | 'shared'

export interface Start {
  readonly origin: StartOrigin
  /**
   * Called once, when the prefetch begins. If it fails, nothing is prefetched: content is then
   * fetched when it is read.
   */
  readonly readPlan: () => PrefetchPlan | Promise<PrefetchPlan>
}

/** A run of frames of one pack. `pack` is a position in the plan's packs. */
export interface PlannedFrames {
  readonly pack: number
  readonly first: number
  readonly count: number
}

/** The files whose bytes a frame holds, according to the tree's index. */
export interface FramePlaces {
  /** In the order of the frame's bytes. Bytes that the index does not confirm are left out. */
  partsOf(packAt: number, frameAt: number): readonly PageRun[]
}

/** The frames to fetch, their order, and the files whose pages they fill. */
export interface PrefetchPlan {
  readonly packs: readonly PackTable[]
  /** One step is fetched after the other. The runs of one step are fetched at the same time. */
  readonly steps: readonly (readonly PlannedFrames[])[]
  /** Files, in the order in which the start opens them. */
  readonly runs: readonly { readonly ino: number }[]
  /** One path for each file of `runs`: raw bytes, without leading slash. */
  readonly paths: ReadonlyMap<number, Uint8Array>
  /** Uncompressed bytes of all frames. */
  readonly rawBytes: number
  /** The caller closes the index, after the last use of the places. */
  placesIn(index: Index): FramePlaces
}
