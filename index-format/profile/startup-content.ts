/**
 * The content that a profile names, laid out for the startup pack: in access order, one piece after
 * the other; and the extents of the files it comes from, cut so that these bytes are read from the
 * startup pack and all others from where they were.
 */
import type { Extent, Tree } from '../tree/tree.js'
import type { ProfileRange } from './profile.js'

/** A run of bytes that goes into the startup pack. */
export interface StartupPiece {
  readonly ino: number
  /** Where in the file. */
  readonly offset: number
  readonly length: number
  /** Where the bytes are now. */
  readonly source: { readonly pack: number; readonly rawOffset: number }
  /** Where they go: in the startup packs' common address space, from 0. */
  readonly startupOffset: number
  /** Which starts read it, as the range says it comes from. */
  readonly starts?: number
}

export interface StartupContent {
  /** In the order in which they are to be written. */
  readonly pieces: readonly StartupPiece[]
  /** The sum of their lengths. */
  readonly sizeBytes: number
}

/** Lays out what `profile` names in `tree`. Holes, and inodes that are no files, have nothing to store. */
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

/** Where the startup content was put: a position of its address space, as a pack and an offset there. */
export type StartupPlace = (startupOffset: number) => {
  pack: number
  rawOffset: number
  roomBytes: number
}

/**
 * A file's extents once the startup packs exist: `extents` with the pieces of this file taken out of
 * their old place. `place` says where a position of the startup content is, and how many bytes
 * follow it in the same pack.
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
    // Pages that were read one after the other stand one after the other: one extent for all.
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
