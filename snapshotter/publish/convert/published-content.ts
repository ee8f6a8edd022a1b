/**
 * The content that packing may leave out, because the publisher has stored it before. Packing
 * believes the database. The packs that it relied on are known afterwards, and are checked then.
 */
import type { Digest, KnownContent, KnownPiece, PackTable } from '../../../index-format/index.js'
import type { BlobPublisher } from './blob-publisher.js'
import type { PublishDatabase, StoredPiece } from './publish-database.js'

export class PublishedContent implements KnownContent {
  readonly #database: PublishDatabase
  readonly #publisher: BlobPublisher
  /** Tables by the digest of their pack. `undefined`: the pack must not be used. */
  readonly #packs = new Map<Digest, PackTable | undefined>()
  /** Spares a first publication a hundred thousand queries that find nothing. */
  readonly #isEmpty: boolean

  constructor(modules: { database: PublishDatabase; publisher: BlobPublisher }) {
    this.#database = modules.database
    this.#publisher = modules.publisher
    this.#isEmpty = modules.database.isEmpty
  }

  file(digest: Digest): readonly KnownPiece[] | undefined {
    if (this.#isEmpty) return undefined
    for (const copy of this.#database.contents(digest)) {
      const pieces = copy.map((piece) => this.#known(piece))
      const found = pieces.filter((piece) => piece !== undefined)
      if (found.length > 0 && found.length === pieces.length) return found
    }
    return undefined
  }

  frame(digest: Digest): KnownPiece | undefined {
    if (this.#isEmpty) return undefined
    for (const piece of this.#database.frames(digest)) {
      const known = this.#known(piece)
      if (known !== undefined) return known
    }
    return undefined
  }

  /** Call this if a pack is not where the database says. Its content no longer counts as known. */
  lose(digest: Digest): void {
    this.#packs.set(digest, undefined)
    if (this.#database.storesOf(digest).length === 0) this.#database.forgetPack(digest)
  }

  #known({ pack, rawOffset, length }: StoredPiece): KnownPiece | undefined {
    if (!this.#packs.has(pack)) {
      const usable = this.#publisher.mayFind(pack)
      this.#packs.set(pack, usable ? this.#database.packTable(pack) : undefined)
    }
    const table = this.#packs.get(pack)
    return table && { pack: table, rawOffset, length }
  }
}
