/**
 * Plans which bytes of the packs belong to which file. Extents are added while names are compared,
 * and then read in the order of the packs. An extent takes 40 bytes, however long the paths are.
 */
import type { Extent } from '../../../index-format/index.js'
import type { InodePair } from './compare-names.js'
import type { RawRange, StreamedTree, TreePair } from './readable-tree.js'

/** An extent of the thin tree, and the file it belongs to. */
export interface PlannedExtent extends RawRange {
  /** Number of the pair of files, from 0. */
  readonly file: number
  /** Offset in the file, in bytes. */
  readonly offset: number
}

/** A pair of files, and the pair of trees they are in. */
export interface PlannedFile extends InodePair {
  readonly trees: TreePair
}

/** The extents that lie in one pack. */
export interface PackPlan {
  /** A tree that names the pack, and the pack's key in that tree. */
  readonly tree: StreamedTree
  readonly pack: number
  /** Extent number `at`, in order of `rawOffset`; undefined at the end. */
  readonly extent: (at: number) => PlannedExtent | undefined
  /** The ranges to read so that every extent is covered: ascending, not touching each other. */
  readonly wanted: readonly RawRange[]
}

export class ContentPlan {
  readonly #trees: TreePair[] = []
  readonly #treesOfFile = new NumberColumn()
  /** All different packs of all trees. The position of a pack is its number in this plan. */
  readonly #knownPacks: { readonly tree: StreamedTree; readonly pack: number }[] = []
  readonly #packNumbers = new Map<string, number>()
  /** Numbers of packs in this plan, by the pack's key in the tree that was added last. */
  #packsOfTree = new Map<number, number>()
  readonly #expectedInos = new NumberColumn()
  readonly #actualInos = new NumberColumn()
  readonly #files = new NumberColumn()
  readonly #packs = new NumberColumn()
  readonly #rawOffsets = new NumberColumn()
  readonly #lengths = new NumberColumn()
  readonly #offsets = new NumberColumn()
  #sizeBytes = 0

  /** Bytes that all planned extents cover together. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Files that are added from now on are in these trees. */
  addTrees(trees: TreePair): void {
    this.#trees.push(trees)
    this.#packsOfTree = new Map()
  }

  /**
   * Adds a pair of files, and the extents of the thin tree's file. Returns the number of the pair.
   */
  addFile(pair: InodePair, extents: readonly Extent[]): number {
    const file = this.#expectedInos.length
    this.#expectedInos.push(pair.expectedIno)
    this.#actualInos.push(pair.actualIno)
    this.#treesOfFile.push(this.#trees.length - 1)
    for (const extent of extents) {
      this.#files.push(file)
      this.#packs.push(this.#packNumber(extent.pack))
      this.#rawOffsets.push(extent.rawOffset)
      this.#lengths.push(extent.length)
      this.#offsets.push(extent.offset)
      this.#sizeBytes += extent.length
    }
    return file
  }

  file(file: number): PlannedFile {
    const trees = this.#trees[this.#treesOfFile.at(file)]
    if (trees === undefined) throw new RangeError(`file ${file} was added before any trees`)
    const [expectedIno, actualIno] = [this.#expectedInos.at(file), this.#actualInos.at(file)]
    return { trees, expectedIno, actualIno }
  }

  /**
   * The packs in the order in which they were first named. The extents of each pack are in order of
   * `rawOffset`.
   */
  *packs(): Generator<PackPlan> {
    const order = Uint32Array.from({ length: this.#files.length }, (_, row) => row)
    order.sort(
      (a, b) =>
        this.#packs.at(a) - this.#packs.at(b) || this.#rawOffsets.at(a) - this.#rawOffsets.at(b),
    )
    for (let from = 0; from < order.length;) {
      const pack = this.#packs.at(order[from] ?? 0)
      let to = from
      while (to < order.length && this.#packs.at(order[to] ?? 0) === pack) to++
      // Extents are made on demand, because a pack of small files may hold a million.
      const rows = order.subarray(from, to)
      const extent = (at: number): PlannedExtent | undefined => {
        const row = rows[at]
        return row === undefined ? undefined : this.#extent(row)
      }
      const known = this.#knownPacks[pack]
      if (known === undefined) throw new RangeError(`pack number ${pack} was never given`)
      yield { ...known, extent, wanted: unionOf(extent) }
      from = to
    }
  }

  #packNumber(pack: number): number {
    const known = this.#packsOfTree.get(pack)
    if (known !== undefined) return known
    const tree = this.#trees.at(-1)?.actual
    if (tree === undefined) throw new RangeError('a file was added before any trees')
    const identity = tree.packIdentity(pack)
    let number = this.#packNumbers.get(identity)
    if (number === undefined) {
      number = this.#knownPacks.push({ tree, pack }) - 1
      this.#packNumbers.set(identity, number)
    }
    this.#packsOfTree.set(pack, number)
    return number
  }

  #extent(row: number): PlannedExtent {
    return {
      file: this.#files.at(row),
      rawOffset: this.#rawOffsets.at(row),
      length: this.#lengths.at(row),
      offset: this.#offsets.at(row),
    }
  }
}

/**
 * Joins ranges that touch or overlap. `rangeAt` gives them in order of `rawOffset`. Content that
 * files share occurs in them more than once.
 */
function unionOf(rangeAt: (at: number) => RawRange | undefined): RawRange[] {
  const union: RawRange[] = []
  let at = 0
  for (let range = rangeAt(at); range !== undefined; range = rangeAt(++at)) {
    const { rawOffset, length } = range
    const last = union.at(-1)
    if (last !== undefined && rawOffset <= last.rawOffset + last.length) {
      const end = Math.max(last.rawOffset + last.length, rawOffset + length)
      union[union.length - 1] = { rawOffset: last.rawOffset, length: end - last.rawOffset }
    } else {
      union.push({ rawOffset, length })
    }
  }
  return union
}

/**
 * A growing column of numbers. It takes eight bytes a number; an array of objects takes a hundred.
 */
class NumberColumn {
  #values = new Float64Array(1024)
  #length = 0

  get length(): number {
    return this.#length
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const larger = new Float64Array(this.#length * 2)
      larger.set(this.#values)
      this.#values = larger
    }
    this.#values[this.#length++] = value
  }

  at(index: number): number {
    const value = index < this.#length ? this.#values[index] : undefined
    if (value === undefined) throw new RangeError(`column of ${this.#length} numbers, not ${index}`)
    return value
  }
}
