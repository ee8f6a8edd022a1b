/**
 * Trees whose content can be read. The two sides differ on purpose. An original is unpacked on the
 * local disk and can be read at any offset. A thin tree's packs come over a network and are read
 * once, in the order in which they are stored.
 */
import type { RandomAccess, Tree } from '../../../index-format/index.js'

/** A tree whose content is local. */
export interface ReadableTree {
  readonly tree: Tree
  /**
   * The bytes in which the extents of this regular file lie. The `pack` of an extent has no meaning
   * here.
   */
  content(ino: number): RandomAccess
}

/** A run of a pack's uncompressed address space. */
export interface RawRange {
  readonly rawOffset: number
  /** Bytes; at least 1. */
  readonly length: number
}

/** A run that was read. `bytes` is valid only until the next piece is asked for. */
export interface ReadPiece extends RawRange {
  readonly bytes: Uint8Array
}

/** A run that can never be read. `failure` names pack and frame. */
export interface FailedPiece extends RawRange {
  readonly failure: string
}

/** A tree whose content arrives pack by pack. */
export interface StreamedTree {
  readonly tree: Tree
  /**
   * A text that is the same for the same pack and frames in any tree, so that shared packs are read
   * once.
   */
  packIdentity(pack: number): string
  /**
   * Streams the runs `wanted` (ascending, not touching each other) of one pack, in order and each
   * byte at most once. It may send more than is wanted. Bytes are verified. Damage is sent as a
   * `FailedPiece`, and the rest follows. Only failures after which going on is pointless are
   * thrown: an unreachable store, an abort.
   */
  streamPack(
    pack: number,
    wanted: readonly RawRange[],
    signal: AbortSignal,
  ): AsyncIterable<ReadPiece | FailedPiece>
}

/** Two trees to compare, and the name of the pair in reports. */
export interface TreePair {
  readonly name: string
  readonly expected: ReadableTree
  readonly actual: StreamedTree
}
