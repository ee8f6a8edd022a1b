/**
 * What packing may leave out, because the publisher has stored it before. The database is believed
 * while packing; which packs were relied on is known afterwards, and checked then.
 */
import type { Digest, KnownContent, KnownPiece, PackTable } from '../../../index-format/index.js'
import type { BlobPublisher } from './blob-publisher.js'
import type { PublishDatabase, StoredPiece } from './publish-database.js'

export class PublishedContent implements KnownContent {
  readonly #database: PublishDatabase
  readonly #publisher: BlobPublisher
  /** `undefined`: not to be used. */
  readonly #packs = new Map<Digest, PackTable | undefined>()
  /** The first publication asks for a hundred thousand files in vain otherwise. */
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

  /** The pack is not where the database said: nothing in it counts as known any more. */
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
