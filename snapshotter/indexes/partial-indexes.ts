/**
 * Partial indexes let trees be served before their whole index is on this node. The index pages
 * that a start reads travel in the thin layer. They are written into a file of the index's size.
 * The whole index is fetched when the start is over, or as soon as a missing page is needed. It
 * replaces the partial index once it is verified and every page of the partial index was found
 * equal to its own.
 */
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { readdir, readFile, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Log, TreeRegistry } from '../../fusefs/index.js'
import {
  digestFromString,
  type Digest,
  type IndexRef,
  type LayerFileRef,
  MAX_INDEX_BYTES,
  type StartupPages,
  startupPagesFromBytes,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { readLayerFile } from '../images/layer-file.js'
import { JsonObject } from '../images/registry/index.js'
import { cancellable } from '../waiting/cancellable.js'
import type { IndexCache } from './index-cache.js'
import { isPartOf, writePartialIndex } from './partial-index-file.js'
import type { StoreSources } from '../stores/store-sources.js'

export interface PartialIndexesModules {
  readonly registry: TreeRegistry
  readonly indexes: IndexCache
  readonly sources: StoreSources
  /**
   * Called when a whole index has replaced a partial one. `removedSlots` are the slots of its trees
   * where the startup pages were not its own; otherwise there are none.
   */
  readonly onChanged: (removedSlots: readonly number[]) => Promise<void>
  readonly log: Log
}

/** A partial index as the image describes it. */
export interface PartialIndexOrigin {
  readonly ref: IndexRef
  /** The file of startup pages in `folder`. */
  readonly pages: LayerFileRef
  readonly folder: string
  readonly stores: readonly string[]
}

interface PartialIndex {
  readonly ref: IndexRef
  /** Digest of the startup pages that it was made from. */
  readonly pages: Digest
  readonly stores: readonly string[]
  readonly abort: AbortController
  /** The fetch of the whole index, while it is under way. */
  completing: Promise<void> | undefined
}

/**
 * After the start is prefetched, the program has network and processors to itself for this long.
 */
const QUIET_MS = 5_000
const RETRY_MS = 60_000
/** Suffix of the file beside each partial index that tells how to fetch the whole index. */
const ORIGIN_SUFFIX = '.json'

export class PartialIndexes {
  readonly #modules: PartialIndexesModules
  readonly #partials = new Map<Digest, PartialIndex>()
  readonly #loops = new Set<Promise<void>>()
  readonly #isRestored: Promise<void>
  #setRestored: () => void = () => undefined

  constructor(modules: PartialIndexesModules) {
    this.#modules = modules
    this.#isRestored = new Promise((resolve) => {
      this.#setRestored = resolve
    })
  }

  /**
   * Takes over the partial indexes of an earlier daemon. Those of registered trees are completed,
   * others are deleted. Never throws. Until it has ended, `complete` waits. Called once.
   */
  async restore(): Promise<void> {
    const { registry, log } = this.#modules
    const stores = new Map(registry.list().map((tree) => [tree.indexDigest, tree.stores]))
    for (const digest of await this.#left()) {
      const known = stores.get(digest)
      try {
        if (known === undefined) await this.#delete(digest)
        else this.#complete(await this.#restored(digest, known), Promise.resolve())
      } catch (error) {
        // A power failure has damaged the file beside the partial index. The image must be pulled
        // again. An error says so where the missing index is needed.
        log.error({ err: error, index: digest }, 'a partial index cannot be completed')
        await this.#delete(digest).catch(() => undefined)
      }
    }
    this.#setRestored()
  }

  /**
   * Writes the partial index of an image that has startup pages. Returns true where the tree can be
   * served from it. Returns false where the caller must get the whole index as usual: it is on this
   * node already, or the startup pages cannot be used. Where another image has brought other pages
   * for the same index, waits for the whole index and returns false; then throws what `complete`
   * throws.
   */
  async begin(origin: PartialIndexOrigin, signal: AbortSignal): Promise<boolean> {
    const { indexes, registry, log } = this.#modules
    const { ref, pages, folder, stores } = origin
    const known = this.#partials.get(ref.digest)
    if (known?.pages === pages.digest) return true
    if (known !== undefined) {
      await this.complete(ref.digest, signal)
      return false
    }
    if (existsSync(registry.indexPath(ref.digest))) return false
    // The whole index will follow. If there is no room for it, the pull has to fail now.
    indexes.requireRoom(ref)
    try {
      const bytes = readLayerFile(pages, join(folder, pages.file))
      this.#write(ref, startupPagesFromBytes(bytes, ref.sizeBytes), pages.digest)
    } catch (error) {
      log.warn({ err: error, index: ref.digest }, 'startup pages cannot be used')
      return false
    }
    const abort = new AbortController()
    const partial = { ref, pages: pages.digest, stores, abort, completing: undefined }
    this.#partials.set(ref.digest, partial)
    return true
  }

  /**
   * Fetches the whole index, beginning 5 s after `start` has settled. Tries again every minute
   * until it succeeds. Returns at once. Does nothing where the index is not partial.
   */
  completeAfter(digest: Digest, start: Promise<unknown>): void {
    const partial = this.#partials.get(digest)
    if (partial !== undefined) this.#complete(partial, start)
  }

  /**
   * Fetches the whole index at once where it is partial. Resolves when it is on this node. Throws
   * what `IndexCache.ensure` throws, and `invalid-content` where the startup pages are not part of
   * the index: its trees are then removed.
   */
  async complete(digest: Digest, signal: AbortSignal): Promise<void> {
    const whole = this.#isRestored.then(() => {
      const partial = this.#partials.get(digest)
      return partial && this.#completed(partial)
    })
    await cancellable(whole, signal, `wait for index ${digest}`)
  }

  /** Deletes a partial index whose trees are removed, and aborts its fetch. */
  async forget(digest: Digest): Promise<void> {
    const partial = this.#partials.get(digest)
    if (partial === undefined) return
    this.#partials.delete(digest)
    partial.abort.abort()
    await this.#delete(digest)
  }

  /** Aborts all fetches. The next daemon continues. Idempotent. */
  async close(): Promise<void> {
    const partials = [...this.#partials.values()]
    for (const { abort } of partials) abort.abort()
    await Promise.allSettled([...this.#loops, ...partials.map(({ completing }) => completing)])
  }

  #complete(partial: PartialIndex, start: Promise<unknown>): void {
    const loop = this.#tryUntilComplete(partial, start).finally(() => {
      this.#loops.delete(loop)
    })
    this.#loops.add(loop)
  }

  async #tryUntilComplete(partial: PartialIndex, start: Promise<unknown>): Promise<void> {
    const { digest } = partial.ref
    const { signal } = partial.abort
    await Promise.race([Promise.allSettled([start]), aborted(signal)])
    const isWanted = (): boolean => this.#partials.get(digest) === partial && !signal.aborted
    for (let waitMs = QUIET_MS; isWanted(); waitMs = RETRY_MS) {
      await delay(waitMs, undefined, { signal, ref: false }).catch(() => undefined)
      if (!isWanted()) return
      try {
        await this.#completed(partial)
      } catch (error) {
        if (!isWanted()) return
        this.#modules.log.warn({ err: error, index: digest }, 'the rest of an index cannot be had')
      }
    }
  }

  #completed(partial: PartialIndex): Promise<void> {
    partial.completing ??= this.#fetch(partial).finally(() => {
      partial.completing = undefined
    })
    return partial.completing
  }

  async #fetch(partial: PartialIndex): Promise<void> {
    const { registry, indexes, sources, onChanged, log } = this.#modules
    const { ref, abort } = partial
    const { digest } = ref
    // An image with the same tree that was pulled later may name further stores.
    const further = registry.byIndex(digest).flatMap((tree) => tree.stores)
    const stores = [...new Set([...partial.stores, ...further])]
    const origins = { embeddedPath: undefined, source: sources.for(stores) }
    const path = await indexes.ensure(ref, origins, abort.signal)
    const isGenuine = await isPartOf(registry.partialIndexPath(digest), path)
    this.#partials.delete(digest)
    await this.#delete(digest)
    if (isGenuine) {
      await onChanged([])
      log.info({ index: digest }, 'the rest of an index is here')
      return
    }
    const slots = registry.byIndex(digest).map(({ slot }) => slot)
    for (const slot of slots) registry.remove(slot)
    await onChanged(slots)
    await rm(path, { force: true })
    const message =
      `the startup pages of index ${digest} are not its own: its trees are not served any more; ` +
      'remove the image and publish it again'
    throw new SnapshotterError('invalid-content', message)
  }

  /** Synchronous, because containerd waits for it, and it takes a millisecond. */
  #write(ref: IndexRef, pages: StartupPages, digest: Digest): void {
    const path = this.#modules.registry.partialIndexPath(ref.digest)
    const temporary = `${path}.${randomUUID()}.new`
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const { sizeBytes, blob, xattrs } = ref
    const origin = JSON.stringify({ sizeBytes, blob, xattrs, pages: digest })
    writeFileSync(`${path}${ORIGIN_SUFFIX}`, origin, { mode: 0o600 })
    writePartialIndex(temporary, sizeBytes, pages)
    renameSync(temporary, path)
  }

  /** Reads the file beside a partial index and takes the index over. */
  async #restored(digest: Digest, stores: readonly string[]): Promise<PartialIndex> {
    const path = `${this.#modules.registry.partialIndexPath(digest)}${ORIGIN_SUFFIX}`
    const json = JsonObject.parse(await readFile(path), path)
    const blob = json.object('blob')
    const ref: IndexRef = {
      digest,
      sizeBytes: json.size('sizeBytes', MAX_INDEX_BYTES),
      blob: { digest: blob.digest('digest'), sizeBytes: blob.size('sizeBytes', MAX_INDEX_BYTES) },
      xattrs: json.raw['xattrs'] === true,
    }
    const abort = new AbortController()
    const partial = { ref, pages: json.digest('pages'), stores, abort, completing: undefined }
    this.#partials.set(digest, partial)
    return partial
  }

  async #left(): Promise<Digest[]> {
    const folder = dirname(this.#modules.registry.partialIndexPath(NO_DIGEST))
    const names = await readdir(folder).catch(() => [])
    return names
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .map((name) => digestFromString(`sha256:${name}`, folder))
  }

  async #delete(digest: Digest): Promise<void> {
    const path = this.#modules.registry.partialIndexPath(digest)
    await rm(path, { force: true })
    await rm(`${path}${ORIGIN_SUFFIX}`, { force: true })
  }
}

const NO_DIGEST: Digest = `sha256:${'0'.repeat(64)}`

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise((resolve) => {
    signal.addEventListener('abort', resolve, { once: true })
  })
}
