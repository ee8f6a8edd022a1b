/**
 * Puts blobs into the store, each at most once and several at a time, and records which blobs the
 * store has. A claim of the database about the store is checked with the store before it is used. A
 * row is written only after the store has confirmed the blob.
 */
import { createReadStream } from 'node:fs'
import { rm } from 'node:fs/promises'
import type { Digest } from '../../../index-format/index.js'
import type { PublishStore } from './publish-store.js'
import type { PublishDatabase } from './publish-database.js'

/**
 * Size of one read. It is large because each read costs a turn of the thread pool, of the event
 * loop and of the socket.
 */
const READ_BYTES = 512 * 1024

export interface BlobFile {
  readonly digest: Digest
  readonly sizeBytes: number
  /** A temporary file with the blob's bytes. */
  readonly path: string
}

export interface BlobPublisherModules {
  readonly store: PublishStore
  readonly database: PublishDatabase
  readonly signal: AbortSignal
  /** Called with the size of each blob that was sent. */
  readonly onSent?: (sizeBytes: number) => void
}

export interface PublishStats {
  /** Blobs sent to the store by this run. */
  sentBlobs: number
  sentBytes: number
  /**
   * Blobs that the store had already, or that were taken over from another repository of the
   * registry.
   */
  foundBlobs: number
  foundBytes: number
}

/**
 * Blobs that are sent at the same time. Each is a file on disk, so this bounds connections, not
 * memory.
 */
const MAX_UNDER_WAY = 3

export class BlobPublisher {
  readonly stats: PublishStats = { sentBlobs: 0, sentBytes: 0, foundBlobs: 0, foundBytes: 0 }
  readonly #modules: BlobPublisherModules
  /** Blobs that this run has found in the store or has put there. */
  readonly #confirmed = new Set<Digest>()
  /** Blobs whose bytes in the store turned out to be wrong. They are sent again. */
  readonly #distrusted = new Set<Digest>()
  readonly #underWay = new Set<Promise<void>>()
  #failure: { readonly cause: unknown } | undefined

  constructor(modules: BlobPublisherModules) {
    this.#modules = modules
  }

  /**
   * Whether the store has the blob. If it does not, tries to take the blob over from another
   * repository of the same registry. False: no store that the database names for the blob could
   * give it. The database then no longer names this store for the blob.
   */
  async find(digest: Digest, sizeBytes: number): Promise<boolean> {
    const { store, database, signal } = this.#modules
    if (this.#confirmed.has(digest)) return true
    if (this.#distrusted.has(digest)) return false
    const stores = database.storesOf(digest)
    if (stores.includes(store.name)) {
      if ((await store.blobSize(digest, signal)) === sizeBytes)
        return this.#found(digest, sizeBytes)
      database.forgetBlob(digest, store.name)
    }
    return this.#adopt(digest, sizeBytes)
  }

  /**
   * Declares the store's copy of a blob wrong or missing. It is then sent again, even if the store
   * reports the right size.
   */
  distrust(digest: Digest): void {
    this.#distrusted.add(digest)
    this.#confirmed.delete(digest)
    this.#modules.database.forgetBlob(digest, this.#modules.store.name)
  }

  /**
   * Whether the database has seen the blob in this store, or in one that this store can take it
   * over from. Asks no store.
   */
  mayFind(digest: Digest): boolean {
    const { store, database } = this.#modules
    return database.storesOf(digest).some((name) => name === store.name || store.canAdopt(name))
  }

  /**
   * Starts to send a blob, unless the store has it. Takes over the file and deletes it afterwards.
   * Waits while MAX_UNDER_WAY blobs are under way. It may resolve before the blob is in the store;
   * `settle` waits for that. Throws the first failure of an earlier blob.
   */
  async send(file: BlobFile): Promise<void> {
    this.#throwFailure()
    while (this.#underWay.size >= MAX_UNDER_WAY) {
      await Promise.race(this.#underWay)
      this.#throwFailure()
    }
    const sending: Promise<void> = this.#send(file)
      .catch((cause: unknown) => {
        this.#failure ??= { cause }
      })
      .finally(() => this.#underWay.delete(sending))
    this.#underWay.add(sending)
  }

  /** Resolves when every blob given to `send` is in the store. Throws the first failure. */
  async settle(): Promise<void> {
    await Promise.all(this.#underWay)
    this.#throwFailure()
  }

  async #send({ digest, sizeBytes, path }: BlobFile): Promise<void> {
    const { store, database, signal, onSent } = this.#modules
    try {
      if (this.#confirmed.has(digest)) return
      const trusted = !this.#distrusted.has(digest)
      if (trusted && (await store.blobSize(digest, signal)) === sizeBytes) {
        this.#found(digest, sizeBytes)
      } else if (!trusted || !(await this.#adopt(digest, sizeBytes))) {
        const open = (): ReturnType<typeof createReadStream> =>
          createReadStream(path, { highWaterMark: READ_BYTES })
        await store.put({ digest, sizeBytes, open, path }, signal)
        this.#distrusted.delete(digest)
        this.#confirmed.add(digest)
        this.stats.sentBlobs++
        this.stats.sentBytes += sizeBytes
        onSent?.(sizeBytes)
      }
      database.recordBlob(digest, sizeBytes, store.name)
    } finally {
      await rm(path, { force: true })
    }
  }

  /** Tries to take a blob over from the stores in which the database has seen it. */
  async #adopt(digest: Digest, sizeBytes: number): Promise<boolean> {
    const { store, database, signal } = this.#modules
    for (const other of database.storesOf(digest)) {
      if (other === store.name || !(await store.adopt(digest, other, signal))) continue
      database.recordBlob(digest, sizeBytes, store.name)
      return this.#found(digest, sizeBytes)
    }
    return false
  }

  #found(digest: Digest, sizeBytes: number): true {
    this.#confirmed.add(digest)
    this.stats.foundBlobs++
    this.stats.foundBytes += sizeBytes
    return true
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.cause
  }
}
