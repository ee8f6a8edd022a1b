/** Content that a publisher has stored before. Packing refers to it instead of storing it again. */
import type { Digest } from '../digest.js'
import type { PackTable } from './pack-table.js'

/** A run of bytes in a pack that is in the store already. */
export interface KnownPiece {
  readonly pack: PackTable
  readonly rawOffset: number
  readonly length: number
}

export interface KnownContent {
  /** The pieces, in order, of the file content with this digest; `undefined` if it is not known. */
  file(digest: Digest): readonly KnownPiece[] | undefined
  /** The whole of a frame with this digest; `undefined` if it is not known. */
  frame(digest: Digest): KnownPiece | undefined
}

/** Nothing is known: packs are then a pure function of the layer. */
export const NOTHING_KNOWN: KnownContent = {
  file: () => undefined,
  frame: () => undefined,
}
