/**
 * A plan made of a profile and the tree's index, for images without startup packs. It names the
 * frames of the ordinary packs that hold the profile's ranges. Frames that lie near each other are
 * fetched together. Frames that the start needs first are fetched first. A profile is a hint:
 * ranges that the tree does not have are left out.
 */
import type { PageRun } from '../../../fusefs/index.js'
import {
  type Extent,
  extentsWithin,
  frameIndexAt,
  Index,
  type PackTable,
  pathsOf,
  PROFILE_PAGE_BYTES,
  type Profile,
} from '../../../index-format/index.js'
import type { PlannedFrames, PrefetchPlan } from './start.js'

/**
 * Gaps of up to this size between two frames are fetched, too. One more request would cost more.
 */
const MAX_GAP_BYTES = 64 * 1024
/** Uncompressed bytes of all frames of a plan. The rest of the start is read as needed. */
const MAX_PLANNED_BYTES = 256 * 1024 * 1024

interface PlannedPack {
  readonly at: number
  readonly table: PackTable
  /** The planned frames by position. `rank` is the order in which the start needs them. */
  readonly frames: Map<number, { rank: number; parts: PageRun[] }>
}

/** The plan for the tree whose index is the file `indexPath`. Throws what `Index.open` throws. */
export function planOfProfile(profile: Profile, indexPath: string): PrefetchPlan {
  const index = Index.open(indexPath)
  try {
    const planner = new Planner(index)
    for (const { ino, offset, length } of profile.ranges) planner.add(ino, offset, length)
    const { packs, inos, rawBytes } = planner
    return {
      packs: packs.map(({ table }) => table),
      steps: [stepOf(packs)],
      runs: [...inos].map((ino) => ({ ino })),
      paths: pathsOf(index, inos),
      rawBytes,
      placesIn: () => ({
        partsOf: (packAt, frameAt) => packs[packAt]?.frames.get(frameAt)?.parts ?? [],
      }),
    }
  } finally {
    index.close()
  }
}

class Planner {
  readonly packs: PlannedPack[] = []
  readonly inos = new Set<number>()
  rawBytes = 0
  readonly #index: Index
  readonly #byKey = new Map<number, PlannedPack>()
  readonly #files = new Map<number, { sizeBytes: number; extents: readonly Extent[] }>()
  #rank = 0

  constructor(index: Index) {
    this.#index = index
  }

  add(ino: number, offset: number, length: number): void {
    const { sizeBytes, extents } = this.#file(ino)
    const end = Math.min(offset + length, sizeBytes)
    for (const part of extentsWithin(extents, offset, end - offset)) {
      this.#addPart({ ino, sizeBytes }, part)
    }
  }

  #addPart(file: { ino: number; sizeBytes: number }, part: Extent): void {
    const { offset: from } = part
    const to = from + part.length
    const pack = this.#pack(part.pack)
    const { frames } = pack.table
    /** Added to an offset in the pack, this gives the offset in the file. */
    const shift = from - part.rawOffset
    for (let at = frameIndexAt(pack.table, from - shift); at < frames.length; at++) {
      const frame = frames[at]
      if (frame === undefined || frame.rawOffset + shift >= to) return
      const planned = this.#frame(pack, at, frame.rawSizeBytes)
      if (planned === undefined) return
      this.inos.add(file.ino)
      // A page that is cut by the frame's end cannot be filled from it.
      const start = pageUp(Math.max(from, frame.rawOffset + shift))
      const limit = Math.min(to, frame.rawOffset + frame.rawSizeBytes + shift)
      const stop = limit === file.sizeBytes ? limit : limit - (limit % PROFILE_PAGE_BYTES)
      if (start >= stop) continue
      const place = { offset: start, from: start - shift - frame.rawOffset, length: stop - start }
      planned.parts.push({ ino: file.ino, ...place })
    }
  }

  #frame(pack: PlannedPack, at: number, rawSizeBytes: number): { parts: PageRun[] } | undefined {
    const known = pack.frames.get(at)
    if (known !== undefined) return known
    if (this.rawBytes + rawSizeBytes > MAX_PLANNED_BYTES) return undefined
    this.rawBytes += rawSizeBytes
    const planned = { rank: this.#rank++, parts: [] }
    pack.frames.set(at, planned)
    return planned
  }

  #pack(key: number): PlannedPack {
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const table = this.#index.packTable(key)
    const pack = { at: this.packs.length, table, frames: new Map() }
    this.packs.push(pack)
    this.#byKey.set(key, pack)
    return pack
  }

  #file(ino: number): { sizeBytes: number; extents: readonly Extent[] } {
    const known = this.#files.get(ino)
    if (known !== undefined) return known
    const inode = this.#index.inode(ino)
    const sizeBytes = inode?.sizeBytes ?? 0
    const file = { sizeBytes, extents: inode === undefined ? [] : this.#index.extents(ino) }
    this.#files.set(ino, file)
    return file
  }
}

/** Runs of frames. The run that the start needs first comes first. */
function stepOf(packs: readonly PlannedPack[]): PlannedFrames[] {
  const runs: (PlannedFrames & { rank: number })[] = []
  for (const { at: pack, table, frames } of packs) {
    let run: { pack: number; first: number; count: number; rank: number } | undefined
    for (const frame of [...frames.keys()].sort((a, b) => a - b)) {
      const rank = frames.get(frame)?.rank ?? 0
      const last = run && table.frames[run.first + run.count - 1]
      const gapBytes =
        (table.frames[frame]?.offset ?? 0) - ((last?.offset ?? 0) + (last?.sizeBytes ?? 0))
      if (run !== undefined && gapBytes <= MAX_GAP_BYTES) {
        run.count = frame - run.first + 1
        run.rank = Math.min(run.rank, rank)
      } else {
        run = { pack, first: frame, count: 1, rank }
        runs.push(run)
      }
    }
  }
  return runs
    .sort((a, b) => a.rank - b.rank)
    .map(({ pack, first, count }) => ({ pack, first, count }))
}

function pageUp(offset: number): number {
  return Math.ceil(offset / PROFILE_PAGE_BYTES) * PROFILE_PAGE_BYTES
}
