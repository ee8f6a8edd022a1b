/**
 * Writes the startup packs: the content that a profile names, in access order. Frames are small, so
 * that the first bytes arrive early. Frames are cut at page boundaries, so that a single frame is
 * enough to fill pages of the kernel's cache.
 */
import { digestOf } from '../digest.js'
import { STARTUP_FRAME_RAW_BYTES } from '../limits.js'
import type { FrameCompressor } from '../pack/frame-compressor.js'
import { PackList } from '../pack/pack-list.js'
import type { PackSink } from '../pack/pack-writer.js'
import type { PackTable } from '../pack/pack-table.js'
import { PROFILE_PAGE_BYTES } from './profile.js'
import type { StartupContent, StartupPiece, StartupPlace } from './startup-content.js'

export interface PackStartupOptions {
  /**
   * Fills `target` with verified bytes of a pack of the tree, from `rawOffset` on. Several calls
   * may run at the same time.
   */
  readonly read: (pack: number, rawOffset: number, target: Uint8Array) => Promise<void>
  /** The caller closes it. */
  readonly compressor: FrameCompressor
  /** zstd level, 1 to 19. */
  readonly level: number
  /** Opens the sink of the next pack. Called after the pack before it is finished. */
  readonly openPack: () => PackSink
  readonly signal?: AbortSignal
}

export interface StartupPacks {
  /** In the order in which they have to be fetched. Together they hold the whole content. */
  readonly packs: readonly PackTable[]
  /** `pack` is a position in `packs`. */
  readonly place: StartupPlace
}

interface FramePart {
  readonly piece: StartupPiece
  /** Bytes from the start of the piece. */
  readonly from: number
  readonly length: number
}

/**
 * Writes `content` into startup packs. A failure or `signal` aborts the pack being written. Throws
 * the errors of `read`, the compressor and the sink, and the signal's reason.
 */
export async function packStartup(
  content: StartupContent,
  options: PackStartupOptions,
): Promise<StartupPacks> {
  const list = new PackList(options)
  try {
    for (const frame of framesOf(content.pieces)) {
      options.signal?.throwIfAborted()
      const raw = await frameBytes(frame, options.read)
      await list.add(raw, digestOf(raw))
    }
    await list.finish()
  } catch (cause) {
    await list.abort()
    throw cause
  }
  const packs = list.tables()
  return { packs, place: placeIn(packs) }
}

function* framesOf(pieces: readonly StartupPiece[]): Generator<FramePart[]> {
  let frame: FramePart[] = []
  let room = STARTUP_FRAME_RAW_BYTES
  for (const piece of pieces) {
    for (let from = 0; from < piece.length;) {
      const left = piece.length - from
      // Cut at a page. A piece that begins inside a page, where an extent does, cannot be aligned.
      const length = left <= room ? left : room - (room % PROFILE_PAGE_BYTES)
      if (length > 0) {
        frame.push({ piece, from, length })
        from += length
        room -= length
      }
      if (length === left) continue
      yield frame
      frame = []
      room = STARTUP_FRAME_RAW_BYTES
    }
  }
  if (frame.length > 0) yield frame
}

async function frameBytes(
  frame: readonly FramePart[],
  read: PackStartupOptions['read'],
): Promise<Uint8Array> {
  const raw = new Uint8Array(frame.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  const reads = frame.map(({ piece, from, length }) => {
    const target = raw.subarray(at, at + length)
    at += length
    return read(piece.source.pack, piece.source.rawOffset + from, target)
  })
  await Promise.all(reads)
  return raw
}

function placeIn(packs: readonly PackTable[]): StartupPlace {
  const starts: number[] = []
  let end = 0
  for (const { rawSizeBytes } of packs) {
    starts.push(end)
    end += rawSizeBytes
  }
  return (startupOffset) => {
    const pack = starts.findLastIndex((start) => start <= startupOffset)
    const rawOffset = startupOffset - (starts[pack] ?? 0)
    return { pack, rawOffset, roomBytes: (packs[pack]?.rawSizeBytes ?? 0) - rawOffset }
  }
}
