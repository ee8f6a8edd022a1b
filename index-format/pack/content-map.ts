/**
 * Records where content is stored: the pieces of each different content, and the content of each
 * file. It uses flat arrays of numbers, because a layer may have a million files.
 */
import type { Digest } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import type { Extent } from '../tree/tree.js'
import { DigestTable } from './digest-table.js'

/** A run of some content inside a pack. */
export interface Piece {
  /** Position in the list of packs. */
  readonly pack: number
  readonly rawOffset: number
  readonly length: number
}

/** Numbers per piece in the flat array: pack, rawOffset, length. */
const STRIDE = 3

export class ContentMap {
  readonly #contents = new DigestTable()
  /** For each content: its first piece, and one past its last. */
  readonly #firstPiece: number[] = []
  readonly #endPiece: number[] = []
  readonly #pieces: number[] = []
  /** Contents that this run stored. The others are known content. */
  readonly #stored: number[] = []
  readonly #contentOfFile = new Map<number, number>()
  /** The positions of the stored bytes in the file, only for files with holes. */
  readonly #runsOfFile = new Map<number, readonly Extent[]>()

  /** The number of the content with this digest, if it was added before. */
  find(digest: Digest): number | undefined {
    return this.#contents.find(digest)
  }

  /**
   * Adds a content and returns its number. The caller adds all its pieces, in order, before it adds
   * another content. `stored` says that this run stores the content.
   */
  add(digest: Digest, stored: boolean): number {
    const content = this.#contents.add(digest)
    this.#firstPiece[content] = this.#endPiece[content] = this.#pieces.length / STRIDE
    if (stored) this.#stored.push(content)
    return content
  }

  /**
   * Appends a piece to the newest content and returns its position, for `placePiece`. A piece that
   * continues the last one is joined to it.
   */
  addPiece(content: number, piece: Piece): number {
    const position = this.#pieces.length / STRIDE
    const last = position - 1
    if (last >= (this.#firstPiece[content] ?? position)) {
      const { pack, rawOffset, length } = this.#pieceAt(last)
      if (pack === piece.pack && rawOffset + length === piece.rawOffset) {
        this.#pieces[last * STRIDE + 2] = length + piece.length
        return last
      }
    }
    this.#pieces.push(piece.pack, piece.rawOffset, piece.length)
    this.#endPiece[content] = position + 1
    return position
  }

  /** Sets the place of a piece whose frame was not yet written when the piece was added. */
  placePiece(position: number, pack: number, rawOffset: number): void {
    this.#pieces[position * STRIDE] = pack
    this.#pieces[position * STRIDE + 1] = rawOffset
  }

  /** Records that file `fileId` holds this content, in these runs. */
  setFile(fileId: number, content: number, runs: readonly Extent[]): void {
    this.#contentOfFile.set(fileId, content)
    if (runs.length > 1 || runs[0]?.offset !== 0) this.#runsOfFile.set(fileId, runs)
  }

  /** The extents of a file. `pack` is a position in the list of packs. */
  extentsOf(fileId: number): Extent[] {
    const content = this.#contentOfFile.get(fileId)
    if (content === undefined) return []
    const pieces = this.piecesOf(content)
    const runs = this.#runsOfFile.get(fileId)
    if (runs !== undefined) return extentsFromRuns(runs, pieces)
    let offset = 0
    return pieces.map((piece) => {
      const extent = { offset, ...piece }
      offset += piece.length
      return extent
    })
  }

  piecesOf(content: number): Piece[] {
    const pieces: Piece[] = []
    for (let at = this.#firstPiece[content] ?? 0; at < (this.#endPiece[content] ?? 0); at++) {
      pieces.push(this.#pieceAt(at))
    }
    return pieces
  }

  /** Every content that this run stored, in the order of its first file. */
  *stored(): Iterable<{ digest: Digest; pieces: readonly Piece[] }> {
    for (const content of this.#stored) {
      yield { digest: this.#contents.digestAt(content), pieces: this.piecesOf(content) }
    }
  }

  #pieceAt(position: number): Piece {
    const at = position * STRIDE
    const [pack = 0, rawOffset = 0, length = 0] = this.#pieces.slice(at, at + STRIDE)
    return { pack, rawOffset, length }
  }
}

/** Assigns the pieces of a file's stored bytes to the runs that these bytes form in the file. */
function extentsFromRuns(runs: readonly Extent[], pieces: readonly Piece[]): Extent[] {
  const extents: Extent[] = []
  let at = 0
  let used = 0
  for (const run of runs) {
    for (let done = 0; done < run.length;) {
      const piece = pieces[at]
      if (piece === undefined) {
        throw new IndexFormatError('invalid-layer', 'pack files: runs longer than their content')
      }
      const length = Math.min(run.length - done, piece.length - used)
      const { pack, rawOffset } = piece
      extents.push({ offset: run.offset + done, length, pack, rawOffset: rawOffset + used })
      done += length
      used += length
      if (used === piece.length) {
        at++
        used = 0
      }
    }
  }
  return extents
}
