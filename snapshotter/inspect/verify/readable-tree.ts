/**
 * Trees whose bytes can be had. The two sides differ on purpose: an original lies unpacked on the
 * local disk and can be read anywhere, a thin tree's packs come over a network and are read once,
 * in the order they are stored.
 */
import type { RandomAccess, Tree } from '../../../index-format/index.js'

/** A tree whose content is local. */
export interface ReadableTree {
  readonly tree: Tree
  /** Where the extents of this regular file lie; their `pack` says nothing more. */
  content(ino: number): RandomAccess
}

/** A run of a pack's uncompressed address space. */
export interface RawRange {
  readonly rawOffset: number
  /** Bytes; at least 1. */
  readonly length: number
}

/** A run that was read; `bytes` is only valid until the next one is asked for. */
export interface ReadPiece extends RawRange {
  readonly bytes: Uint8Array
}

/** A run that cannot be read, and never will be; `message` names pack and frame. */
export interface FailedPiece extends RawRange {
  readonly failure: string
}

/** A tree whose content arrives pack by pack. */
export interface StreamedTree {
  readonly tree: Tree
  /** The same text for the same pack and frames in any tree: what is shared is then read once. */
  packIdentity(pack: number): string
  /**
   * Streams the runs `wanted` (ascending, not touching each other) of one pack, in order and each
   * byte at most once; it may send more than was wanted. Bytes are verified. Damage is a
   * `FailedPiece`, after which the rest follows; only what makes going on pointless (an unreachable
   * store, an abort) is thrown.
   */
  streamPack(
    pack: number,
    wanted: readonly RawRange[],
    signal: AbortSignal,
  ): AsyncIterable<ReadPiece | FailedPiece>
}

/** Two trees to compare, and what a report calls them. */
export interface TreePair {
  readonly name: string
  readonly expected: ReadableTree
  readonly actual: StreamedTree
}
