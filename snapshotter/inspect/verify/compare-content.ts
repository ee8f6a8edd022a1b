/**
 * Compares the bytes of files in the order in which the packs store them, so that each frame is
 * fetched once, however many files share it. It compares bytes and not digests, so that the proof
 * does not depend on our digests.
 */
import { type Extent, pathsOf, type RandomAccess } from '../../../index-format/index.js'
import type { ContentPlan, PackPlan, PlannedExtent, PlannedFile } from './content-plan.js'
import type { Difference } from './difference.js'
import { readFileBytes } from './file-bytes.js'
import { InoMap } from './ino-map.js'
import type { FailedPiece, ReadableTree, ReadPiece, TreePair } from './readable-tree.js'

export interface CompareContentOptions {
  readonly signal: AbortSignal
  /** Called with the number of file bytes that were just compared. */
  readonly onBytes: (bytes: number) => void
}

/**
 * Differing files that are kept before they are reported. An earlier differing byte of them may
 * still be found.
 */
const MAX_PENDING_FILES = 10_000
const COMPARE_BYTES = 1024 * 1024

export class ContentComparison {
  readonly #plan: ContentPlan
  readonly #options: CompareContentOptions
  readonly #buffer = new Uint8Array(COMPARE_BYTES)
  /** Offset of the first byte that is known to differ, by the number of the file. */
  readonly #differing = new Map<number, number>()
  readonly #reported = new InoMap()
  #unreadable: { file: number; message: string }[] = []

  constructor(plan: ContentPlan, options: CompareContentOptions) {
    this.#plan = plan
    this.#options = options
  }

  /**
   * Records that a file differs at `offset`. Callers may also add a byte that they compared without
   * reading a pack.
   */
  addDifference(file: number, offset: number): void {
    if (this.#reported.get(file + 1) !== undefined) return
    this.#differing.set(file, Math.min(offset, this.#differing.get(file) ?? offset))
  }

  /**
   * Reads every planned extent. Yields `content` for each file that differs, and `unreadable` for
   * each failed piece.
   */
  async *differences(): AsyncGenerator<Difference> {
    yield* this.#flush(MAX_PENDING_FILES)
    for (const pack of this.#plan.packs()) {
      await this.#comparePack(pack)
      yield* this.#flush(MAX_PENDING_FILES)
    }
    yield* this.#flush(0)
  }

  async #comparePack({ extent: extentAt, pack, tree, wanted }: PackPlan): Promise<void> {
    let live: LiveExtent[] = []
    let next = 0
    for await (const piece of tree.streamPack(pack, wanted, this.#options.signal)) {
      const end = piece.rawOffset + piece.length
      for (let extent = extentAt(next); extent !== undefined; extent = extentAt(++next)) {
        if (extent.rawOffset >= end) break
        const { expectedIno, trees } = this.#plan.file(extent.file)
        const original = originalFile(trees.expected, expectedIno)
        live.push({ ...extent, done: 0, original })
      }
      this.#comparePiece(piece, live)
      live = live.filter(({ done, length }) => done < length)
    }
    const left = live[0] ?? extentAt(next)
    if (left !== undefined) {
      const message = `pack ${pack} ended before ${left.rawOffset + left.length} bytes of it were read`
      this.#unreadable.push({ file: left.file, message })
    }
  }

  #comparePiece(piece: ReadPiece | FailedPiece, live: readonly LiveExtent[]): void {
    let failedFiles = 0
    for (const extent of live) {
      const from = extent.rawOffset + extent.done
      const to = Math.min(extent.rawOffset + extent.length, piece.rawOffset + piece.length)
      if (from >= to || from < piece.rawOffset) continue
      extent.done = to - extent.rawOffset
      this.#options.onBytes(to - from)
      if ('bytes' in piece) {
        this.#compareBytes(
          extent,
          from,
          piece.bytes.subarray(from - piece.rawOffset, to - piece.rawOffset),
        )
      } else if (failedFiles++ === 0) {
        this.#unreadable.push({ file: extent.file, message: piece.failure })
      }
    }
    const first = this.#unreadable.at(-1)
    if (failedFiles > 1 && first !== undefined) {
      first.message += ` (and ${failedFiles - 1} more of its extents)`
    }
  }

  #compareBytes(extent: LiveExtent, rawOffset: number, bytes: Uint8Array): void {
    const start = extent.offset + (rawOffset - extent.rawOffset)
    for (let at = 0; at < bytes.length; at += COMPARE_BYTES) {
      const actual = bytes.subarray(at, at + COMPARE_BYTES)
      const expected = this.#buffer.subarray(0, actual.length)
      readFileBytes(extent.original.content, extent.original.extents, expected, start + at)
      if (Buffer.compare(expected, actual) === 0) continue
      const first = actual.findIndex((byte, index) => byte !== expected[index])
      this.addDifference(extent.file, start + at + first)
      return
    }
  }

  /** Yields all pending differences if there are more than `limit`. */
  *#flush(limit: number): Generator<Difference> {
    if (this.#differing.size + this.#unreadable.length <= limit) return
    const differing = [...this.#differing].sort(([a], [b]) => a - b)
    const unreadable = this.#unreadable
    const files = [...differing.map(([file]) => file), ...unreadable.map(({ file }) => file)]
    const places = placesOf(files.map((file) => this.#plan.file(file)))
    const placeOf = (file: number): Place => places(this.#plan.file(file))
    for (const [file, offset] of differing) {
      this.#reported.set(file + 1, 1)
      const expected = byteWords(this.#plan.file(file), offset)
      yield { kind: 'content', ...placeOf(file), offset, expected, actual: 'another byte' }
    }
    for (const { file, message } of unreadable) {
      yield { kind: 'unreadable', ...placeOf(file), expected: 'its content', actual: message }
    }
    this.#differing.clear()
    this.#unreadable = []
  }
}

/** The tree and the path of a file, as a difference names them. */
interface Place {
  readonly tree: string
  readonly path: Uint8Array
}

/** Finds the paths of files. Walks each tree that has some of them once. */
function placesOf(files: readonly PlannedFile[]): (file: PlannedFile) => Place {
  const inos = new Map<TreePair, Set<number>>()
  for (const { trees, expectedIno } of files) {
    const known = inos.get(trees)
    if (known === undefined) inos.set(trees, new Set([expectedIno]))
    else known.add(expectedIno)
  }
  const paths = new Map<TreePair, Map<number, Uint8Array>>()
  for (const [trees, wanted] of inos) paths.set(trees, pathsOf(trees.expected.tree, wanted))
  return ({ trees, expectedIno }) => ({
    tree: trees.name,
    path: paths.get(trees)?.get(expectedIno) ?? new Uint8Array(0),
  })
}

function byteWords({ trees, expectedIno }: PlannedFile, offset: number): string {
  const byte = new Uint8Array(1)
  const { content, extents } = originalFile(trees.expected, expectedIno)
  readFileBytes(content, extents, byte, offset)
  return `0x${(byte[0] ?? 0).toString(16).padStart(2, '0')}`
}

/** A file of the original: its extents, and the bytes in which they lie. */
interface OriginalFile {
  readonly content: RandomAccess
  readonly extents: readonly Extent[]
}

function originalFile(source: ReadableTree, ino: number): OriginalFile {
  return { content: source.content(ino), extents: source.tree.extents(ino) }
}

interface LiveExtent extends PlannedExtent {
  /** Bytes compared so far. */
  done: number
  /** The original's file. */
  readonly original: OriginalFile
}
