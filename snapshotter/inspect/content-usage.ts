/**
 * Measures how much content trees have and how much of it they share. Extents that name the same
 * bytes of a pack share content, so the figures are exact.
 */
import { type Digest, type Index, isRegular, walkTree } from '../../index-format/index.js'

/** Bytes are uncompressed unless a name says otherwise. */
export interface ContentUsage {
  readonly packs: number
  readonly frames: number
  /** Size of the packs in the store, tables included. */
  readonly packStoredBytes: number
  /** Uncompressed size of the packs. */
  readonly packRawBytes: number
  /** Content of all files, shared content counted for each file; a hard-linked file counts once. */
  readonly fileBytes: number
  /** Bytes saved by content that files of one tree share. */
  readonly sharedWithinBytes: number
  /** Bytes saved by content that several trees share. */
  readonly sharedBetweenBytes: number
  /** The rest: each byte of content counted once. */
  readonly uniqueBytes: number
}

/** Walks every tree once. Packs that several trees name are counted once. */
export function contentUsageOf(trees: readonly Index[]): ContentUsage {
  const packs = new Map<Digest, { frames: number; storedBytes: number; rawBytes: number }>()
  const all = new RangeSet()
  let fileBytes = 0
  let perTreeBytes = 0
  for (const tree of trees) {
    const own = new RangeSet()
    const digests = new Map<number, Digest>()
    for (const { digest, key, rawSizeBytes, sizeBytes } of tree.packs()) {
      digests.set(key, digest)
      if (packs.has(digest)) continue
      const frames = tree.packTable(key).frames.length
      packs.set(digest, { frames, storedBytes: sizeBytes, rawBytes: rawSizeBytes })
    }
    fileBytes += addExtents(tree, digests, own)
    perTreeBytes += own.sizeBytes()
    all.addAll(own)
  }
  const uniqueBytes = all.sizeBytes()
  const sum = (of: 'frames' | 'storedBytes' | 'rawBytes'): number =>
    [...packs.values()].reduce((total, pack) => total + pack[of], 0)
  return {
    packs: packs.size,
    frames: sum('frames'),
    packStoredBytes: sum('storedBytes'),
    packRawBytes: sum('rawBytes'),
    fileBytes,
    sharedWithinBytes: fileBytes - perTreeBytes,
    sharedBetweenBytes: perTreeBytes - uniqueBytes,
    uniqueBytes,
  }
}

/**
 * Adds the extents of a tree's files to `ranges`. Returns the sum of the extents' lengths in bytes.
 */
function addExtents(tree: Index, digests: ReadonlyMap<number, Digest>, ranges: RangeSet): number {
  const linked = new Set<number>()
  let sizeBytes = 0
  for (const { entry } of walkTree(tree)) {
    if (!isRegular(entry.mode) || linked.has(entry.ino)) continue
    if ((tree.inode(entry.ino)?.nlink ?? 1) > 1) linked.add(entry.ino)
    for (const { length, pack, rawOffset } of tree.extents(entry.ino)) {
      sizeBytes += length
      const digest = digests.get(pack)
      if (digest !== undefined) ranges.add(digest, rawOffset, length)
    }
  }
  return sizeBytes
}

interface Range {
  readonly from: number
  readonly to: number
}

/** Ranges of packs. Ranges that touch are joined whenever many have gathered. */
class RangeSet {
  readonly #ranges = new Map<Digest, Range[]>()
  readonly #joined = new Map<Digest, number>()

  add(digest: Digest, from: number, length: number): void {
    this.#add(digest, { from, to: from + length })
  }

  addAll(other: RangeSet): void {
    for (const [pack, ranges] of other.#ranges) for (const range of ranges) this.#add(pack, range)
  }

  /** Bytes that are in at least one range. */
  sizeBytes(): number {
    let total = 0
    for (const pack of this.#ranges.keys()) {
      for (const { from, to } of this.#join(pack)) total += to - from
    }
    return total
  }

  #add(pack: Digest, range: Range): void {
    const ranges = this.#ranges.get(pack) ?? []
    ranges.push(range)
    this.#ranges.set(pack, ranges)
    if (ranges.length > 2 * (this.#joined.get(pack) ?? 0) + 1024) this.#join(pack)
  }

  #join(pack: Digest): readonly Range[] {
    const joined: Range[] = []
    for (const range of (this.#ranges.get(pack) ?? []).sort((a, b) => a.from - b.from)) {
      const last = joined.at(-1)
      if (last === undefined || range.from > last.to) joined.push(range)
      else if (range.to > last.to) joined[joined.length - 1] = { from: last.from, to: range.to }
    }
    this.#ranges.set(pack, joined)
    this.#joined.set(pack, joined.length)
    return joined
  }
}
