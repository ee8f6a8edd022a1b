/**
 * A start: the bytes that a program will read first, and the source that knows them. Sources are
 * the image (published), this node (learned), somebody else's node (shared), and the publisher's
 * guess. All of them are brought in by `StartPrefetcher.prefetch`.
 */
import type { PageRun } from '../../../fusefs/index.js'
import type { Index, PackTable } from '../../../index-format/index.js'

/** The source of a start, as logs name it. `image`: it was published with the image. */
export type StartOrigin = 'image' | 'guess' | 'learned' | 'shared'

export interface Start {
  readonly origin: StartOrigin
  /** Called once, when the prefetch begins. A rejection leaves the image to be read as needed. */
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
  /** The index stays the caller's, open as long as the places are used. */
  placesIn(index: Index): FramePlaces
}
