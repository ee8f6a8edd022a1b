/** What a publisher has stored before: the seam through which packing leaves it out. */
import type { Digest } from '../digest.js'
import type { PackTable } from './pack-table.js'

/** A run of bytes in a pack that is in the store already. */
export interface KnownPiece {
  readonly pack: PackTable
  readonly rawOffset: number
  readonly length: number
}

export interface KnownContent {
  /** The pieces, in order, of the file content with this digest. */
  file(digest: Digest): readonly KnownPiece[] | undefined
  /** A frame with this digest, all of it. */
  frame(digest: Digest): KnownPiece | undefined
}

/** Nothing is known: packs are then a pure function of the layer. */
export const NOTHING_KNOWN: KnownContent = {
  file: () => undefined,
  frame: () => undefined,
}
