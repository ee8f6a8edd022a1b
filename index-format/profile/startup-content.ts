/**
 * Lays out the content that a profile names for the startup packs: in access order, one piece after
 * the other. It also computes the new extents of the files: the bytes in startup packs are read
 * from there, all other bytes from their old place.
 */
import type { Extent, Tree } from '../tree/tree.js'
import type { ProfileRange } from './profile.js'

/** A run of a file's bytes that goes into the startup packs. */
export interface StartupPiece {
  readonly ino: number
  /** Position in the file, in bytes. */
  readonly offset: number
  readonly length: number
  /** Where the bytes are now. */
  readonly source: { readonly pack: number; readonly rawOffset: number }
  /** Where the bytes go: a position in the common address space of the startup packs, from 0. */
  readonly startupOffset: number
  /** The starts that read the piece, as in its range: bit i is set if start i does. */
  readonly starts?: number
}

export interface StartupContent {
  /** In the order in which they have to be written. */
  readonly pieces: readonly StartupPiece[]
  /** The sum of the pieces' lengths. */
  readonly sizeBytes: number
}

/**
 * Lays out the content that `profile` names in `tree`. Holes, and inodes that are not files, give
 * no pieces: they have no content.
 */
export function startupContent(
  tree: Tree,
  profile: { readonly ranges: readonly (ProfileRange & { readonly starts?: number })[] },
): StartupContent {
  const pieces: StartupPiece[] = []
  const extentsOf = rememberedExtents(tree)
  let sizeBytes = 0
  for (const { ino, offset, length, starts } of profile.ranges) {
    const end = offset + length
    for (const extent of extentsOf(ino)) {
      const from = Math.max(offset, extent.offset)
      const to = Math.min(end, extent.offset + extent.length)
      if (from >= to) continue
      const rawOffset = extent.rawOffset + from - extent.offset
      const source = { pack: extent.pack, rawOffset }
      const piece = { ino, offset: from, length: to - from, source, startupOffset: sizeBytes }
      pieces.push(starts === undefined ? piece : { ...piece, starts })
      sizeBytes += to - from
    }
  }
  return { pieces, sizeBytes }
}

/**
 * Finds where a position of the startup content was stored: the pack, the offset in the pack, and
 * in `roomBytes` how many bytes of the pack are there from that offset on.
 */
export type StartupPlace = (startupOffset: number) => {
  pack: number
  rawOffset: number
  roomBytes: number
}

/**
 * The extents of a file once the startup packs exist: `extents`, but the bytes of `pieces`, all of
 * this file, come from the startup packs. `place` and `extents` must number packs in the same way.
 */
export function extentsWithStartup(
  extents: readonly Extent[],
  pieces: readonly StartupPiece[],
  place: StartupPlace,
): Extent[] {
  const moved = [...pieces].sort((a, b) => a.offset - b.offset)
  const result: Extent[] = []
  let next = 0
  for (const extent of extents) {
    const end = extent.offset + extent.length
    let at = extent.offset
    for (; next < moved.length; next++) {
      const piece = moved[next]
      if (piece === undefined || piece.offset >= end) break
      pushPart(result, extent, at, piece.offset)
      pushStartup(result, piece, place)
      at = piece.offset + piece.length
    }
    pushPart(result, extent, at, end)
  }
  return result
}

function pushPart(result: Extent[], extent: Extent, from: number, to: number): void {
  if (from >= to) return
  const rawOffset = extent.rawOffset + from - extent.offset
  result.push({ offset: from, length: to - from, pack: extent.pack, rawOffset })
}

function pushStartup(result: Extent[], piece: StartupPiece, place: StartupPlace): void {
  for (let done = 0; done < piece.length;) {
    const { pack, rawOffset, roomBytes } = place(piece.startupOffset + done)
    const length = Math.min(piece.length - done, roomBytes)
    const offset = piece.offset + done
    const last = result.at(-1)
    const follows =
      last?.pack === pack &&
      last.offset + last.length === offset &&
      last.rawOffset + last.length === rawOffset
    // Pages that were read in sequence are neighbours in the pack: one extent covers them.
    if (follows) result[result.length - 1] = { ...last, length: last.length + length }
    else result.push({ offset, length, pack, rawOffset })
    done += length
  }
}

function rememberedExtents(tree: Tree): (ino: number) => readonly Extent[] {
  const known = new Map<number, readonly Extent[]>()
  return (ino) => {
    const extents = known.get(ino) ?? tree.extents(ino)
    known.set(ino, extents)
    return extents
  }
}
