/**
 * The packs of one run: those that it writes, one after the other, and those that it found in the
 * store. A pack gets its position at its first use. A new pack gets its table when it is complete.
 */
import type { Digest } from '../digest.js'
import type { FrameCompressor } from './frame-compressor.js'
import type { KnownPiece } from './known-content.js'
import { type PackSink, PackWriter } from './pack-writer.js'
import type { PackTable } from './pack-table.js'

export interface PackListOptions {
  readonly compressor: FrameCompressor
  readonly level: number
  /** Opens the sink of the next pack. Called after the pack before it is finished. */
  readonly openPack: () => PackSink
}

export class PackList {
  readonly #options: PackListOptions
  readonly #tables: (PackTable | undefined)[] = []
  readonly #positions = new Map<Digest, number>()
  readonly #new = new Set<number>()
  #writer: { readonly pack: PackWriter; readonly position: number } | undefined

  constructor(options: PackListOptions) {
    this.#options = options
  }

  /** Adds a frame to the current pack, or to the next when it is full. */
  async add(raw: Uint8Array, digest: Digest): Promise<{ pack: number; rawOffset: number }> {
    if (this.#writer?.pack.fits(raw.length) === false) await this.finish()
    this.#writer ??= this.#openWriter()
    const { pack, position } = this.#writer
    return { pack: position, rawOffset: await pack.add(raw, digest) }
  }

  /** The position of a pack that is in the store already. */
  positionOfKnown({ pack }: KnownPiece): number {
    const known = this.#positions.get(pack.digest)
    if (known !== undefined) return known
    const position = this.#tables.push(pack) - 1
    this.#positions.set(pack.digest, position)
    return position
  }

  /** Completes the current pack. */
  async finish(): Promise<void> {
    if (this.#writer === undefined) return
    this.#tables[this.#writer.position] = await this.#writer.pack.finish()
    this.#writer = undefined
  }

  /** Aborts the current pack. Packs before it stay stored. */
  async abort(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    await writer?.pack.abort()
  }

  /** All tables by position, once everything is finished. */
  tables(): PackTable[] {
    return this.#tables.filter((table) => table !== undefined)
  }

  /** The positions of the packs that this run wrote. */
  newPositions(): ReadonlySet<number> {
    return this.#new
  }

  #openWriter(): { pack: PackWriter; position: number } {
    const { compressor, level, openPack } = this.#options
    const position = this.#tables.push(undefined) - 1
    this.#new.add(position)
    return { pack: new PackWriter({ sink: openPack(), compressor, level }), position }
  }
}
