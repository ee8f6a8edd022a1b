/**
 * Puts the content of a layer's files into packs. Small files share frames in the order of their
 * paths, because neighbours compress well together. Large files are cut as `Cutter` says. Content
 * that this layer or the store already has is not stored again: files refer to it. The result
 * depends on the files, their order, the level, the frame sizes and the known content. Timing has
 * no effect.
 */
import { setImmediate } from 'node:timers/promises'
import { type Digest, digestOf } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import { LARGE_FILE_BYTES, MAX_CUT_BYTES } from '../limits.js'
import type { RandomAccess } from '../random-access.js'
import type { Extent } from '../tree/tree.js'
import { ContentMap } from './content-map.js'
import { Cutter } from './cutter.js'
import { DigestTable } from './digest-table.js'
import type { FrameCompressor } from './frame-compressor.js'
import { FORMAT_FRAME_SIZES, type FrameSizes } from './frame-sizes.js'
import { type KnownContent, NOTHING_KNOWN } from './known-content.js'
import { PackList } from './pack-list.js'
import type { PackSink } from './pack-writer.js'
import type { PackTable } from './pack-table.js'
import { RunReader } from './run-reader.js'

/** A regular file whose content is to be packed. */
export interface PackInput {
  /** The inode number in the tree being packed, for `PackedContent.extentsOf`. Each comes once. */
  readonly fileId: number
  /** Digest of the stored bytes, which are the runs' bytes one after the other. */
  readonly digest: Digest
  /** The runs of stored bytes, in order: `offset` is in the file, `rawOffset` in the spool. */
  readonly runs: readonly Extent[]
}

export interface PackFilesOptions {
  /** In path order, as `packInputsOf` gives them. */
  readonly files: Iterable<PackInput>
  /** The spool with the bytes of the runs. */
  readonly spool: RandomAccess
  /** Default: nothing is known. */
  readonly known?: KnownContent
  /** The caller closes it. */
  readonly compressor: FrameCompressor
  /** zstd level, 1 to 19. */
  readonly level: number
  /** Default: the sizes of the format. */
  readonly sizes?: FrameSizes
  /** Opens the sink of the next pack. Called after the pack before it is finished. */
  readonly openPack: () => PackSink
  /** Called for each file that is done, with its stored bytes. */
  readonly onProgress?: (bytes: number) => void
  readonly signal?: AbortSignal
}

/** Content that this run stored. A publisher remembers it as known content. */
export interface StoredContent {
  readonly digest: Digest
  /** `pack` is a position in `packs`. */
  readonly pieces: readonly { pack: number; rawOffset: number; length: number }[]
}

export interface PackedContent {
  /** New packs and those found in the store, in the order of their first use. */
  readonly packs: readonly PackTable[]
  /** Positions in `packs` of the packs that this run wrote. */
  readonly newPacks: ReadonlySet<number>
  /** The file's extents; `pack` is a position in `packs`. Empty for a file that was not given. */
  extentsOf(fileId: number): Extent[]
  /** Each different file content that this run stored, once. */
  storedContents(): Iterable<StoredContent>
}

/** After this many files, other work of the event loop gets a turn, even if no file had to wait. */
const FILES_PER_TURN = 1000

/**
 * Packs all files. A failure or `signal` aborts the pack being written. Packs before it stay: they
 * are complete, and no index refers to them yet. Throws the errors of the sink, the spool and the
 * compressor, `invalid-pack` for wrong known content, and the signal's reason.
 */
export async function packFiles(options: PackFilesOptions): Promise<PackedContent> {
  const packer = new FilePacker(options)
  try {
    return await packer.run()
  } catch (cause) {
    await packer.abort()
    throw cause
  }
}

class FilePacker {
  readonly #options: PackFilesOptions
  readonly #known: KnownContent
  readonly #packs: PackList
  readonly #contents = new ContentMap()
  readonly #cutter: Cutter
  /** Frames of large files in this run: `#framePlaces[n]` is where frame n is. */
  readonly #frames = new DigestTable()
  readonly #framePlaces: { pack: number; rawOffset: number }[] = []
  /** The frame in which small files are collected. */
  readonly #small: Buffer
  #smallBytes = 0
  /** Pieces in the frame being filled: [piece, offset in the frame] alternating. */
  #smallPieces: number[] = []
  #window: Buffer | undefined

  constructor(options: PackFilesOptions) {
    this.#options = options
    this.#known = options.known ?? NOTHING_KNOWN
    this.#packs = new PackList(options)
    const { sizes = FORMAT_FRAME_SIZES } = options
    this.#cutter = new Cutter(sizes)
    this.#small = Buffer.allocUnsafeSlow(sizes.smallFrameBytes)
  }

  async run(): Promise<PackedContent> {
    const { files, onProgress, signal } = this.#options
    let count = 0
    for (const file of files) {
      if (++count % FILES_PER_TURN === 0) await setImmediate()
      signal?.throwIfAborted()
      const sizeBytes = file.runs.reduce((sum, run) => sum + run.length, 0)
      if (sizeBytes === 0) continue
      const content =
        this.#contents.find(file.digest) ??
        this.#findKnown(file.digest, sizeBytes) ??
        (sizeBytes < LARGE_FILE_BYTES
          ? await this.#packSmall(file, sizeBytes)
          : await this.#packLarge(file, sizeBytes))
      this.#contents.setFile(file.fileId, content, file.runs)
      onProgress?.(sizeBytes)
    }
    await this.#flushSmall()
    await this.#packs.finish()
    return {
      packs: this.#packs.tables(),
      newPacks: this.#packs.newPositions(),
      extentsOf: (fileId) => this.#contents.extentsOf(fileId),
      storedContents: () => this.#contents.stored(),
    }
  }

  abort(): Promise<void> {
    return this.#packs.abort()
  }

  #findKnown(digest: Digest, sizeBytes: number): number | undefined {
    const pieces = this.#known.file(digest)
    if (pieces === undefined) return undefined
    const knownBytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    const inside = pieces.every((p) => p.rawOffset + p.length <= p.pack.rawSizeBytes)
    if (knownBytes !== sizeBytes || !inside) {
      const message = `pack files: known content ${digest} has ${knownBytes} bytes, not ${sizeBytes}`
      throw new IndexFormatError('invalid-pack', message)
    }
    const content = this.#contents.add(digest, false)
    for (const piece of pieces) {
      const { rawOffset, length } = piece
      const pack = this.#packs.positionOfKnown(piece)
      this.#contents.addPiece(content, { pack, rawOffset, length })
    }
    return content
  }

  async #packSmall(file: PackInput, sizeBytes: number): Promise<number> {
    if (this.#smallBytes + sizeBytes > this.#small.length) await this.#flushSmall()
    const at = this.#smallBytes
    const bytes = this.#small.subarray(at, at + sizeBytes)
    new RunReader(this.#options.spool, file.runs).read(bytes)
    this.#smallBytes += sizeBytes
    const content = this.#contents.add(file.digest, true)
    const piece = this.#contents.addPiece(content, { pack: -1, rawOffset: 0, length: sizeBytes })
    this.#smallPieces.push(piece, at)
    return content
  }

  /** Writes the frame that small files share, and sets the places of their pieces. */
  async #flushSmall(): Promise<void> {
    if (this.#smallBytes === 0) return
    const raw = this.#small.subarray(0, this.#smallBytes)
    const { pack, rawOffset } = await this.#packs.add(raw, digestOf(raw))
    for (let at = 0; at < this.#smallPieces.length; at += 2) {
      const [piece = 0, offset = 0] = this.#smallPieces.slice(at, at + 2)
      this.#contents.placePiece(piece, pack, rawOffset + offset)
    }
    this.#smallBytes = 0
    this.#smallPieces = []
  }

  async #packLarge(file: PackInput, sizeBytes: number): Promise<number> {
    const content = this.#contents.add(file.digest, true)
    const reader = new RunReader(this.#options.spool, file.runs)
    const window = (this.#window ??= Buffer.allocUnsafeSlow(2 * MAX_CUT_BYTES))
    let from = 0
    let to = 0
    let unread = sizeBytes
    while (unread > 0 || from < to) {
      if (unread > 0 && to - from < MAX_CUT_BYTES) {
        window.copyWithin(0, from, to)
        to -= from
        from = 0
        const count = Math.min(unread, window.length - to)
        reader.read(window.subarray(to, to + count))
        to += count
        unread -= count
      }
      this.#options.signal?.throwIfAborted()
      const length = this.#cutter.cut(window, from, to)
      const bytes = window.subarray(from, from + length)
      // A file that is not cut is one frame, whose digest is that of the file.
      const digest = length === sizeBytes ? file.digest : digestOf(bytes)
      const place = await this.#placeFrame(bytes, digest)
      this.#contents.addPiece(content, { ...place, length })
      from += length
    }
    return content
  }

  /** The place of a frame with these bytes: one of this run, one in the store, or a new one. */
  async #placeFrame(
    bytes: Uint8Array,
    digest: Digest,
  ): Promise<{ pack: number; rawOffset: number }> {
    const seen = this.#frames.find(digest)
    const place = seen === undefined ? undefined : this.#framePlaces[seen]
    if (place !== undefined) return place
    const known = this.#known.frame(digest)
    const placed =
      known?.length === bytes.length
        ? { pack: this.#packs.positionOfKnown(known), rawOffset: known.rawOffset }
        : await this.#packs.add(bytes, digest)
    this.#framePlaces[this.#frames.add(digest)] = placed
    return placed
  }
}
