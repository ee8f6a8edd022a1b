/**
 * Trees that are served before their whole index is here. The pages that a start looks at come with the
 * image and are written into a file of the index's size; the rest is fetched when the start is over, or
 * as soon as somebody asks for what is missing. The whole index takes the place of the partial one, once
 * it is verified and every page that was served has turned out to be its own.
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
  /** Called when a whole index has taken the place of a partial one, with the slots that were removed. */
  readonly onChanged: (removedSlots: readonly number[]) => Promise<void>
  readonly log: Log
}

/** What the image says of an index. */
export interface PartialIndexOrigin {
  readonly ref: IndexRef
  /** The startup pages in `folder`. */
  readonly pages: LayerFileRef
  readonly folder: string
  readonly stores: readonly string[]
}

interface PartialIndex {
  readonly ref: IndexRef
  /** Of the startup pages that it was made of. */
  readonly pages: Digest
  readonly stores: readonly string[]
  readonly abort: AbortController
  /** The fetch of the whole, while it is under way. */
  completing: Promise<void> | undefined
}

/** After the start is here, the program is left alone with network and processors for a while. */
const QUIET_MS = 5_000
const RETRY_MS = 60_000
/** Beside each partial index, what is needed to fetch the whole. */
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
   * Takes up what an earlier daemon left: partial indexes of registered trees are completed, others are
   * deleted. Never throws. Whoever waits for an index waits for this first.
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
        // A power failure took what was written beside it: the image has to be pulled again, and who
        // wants to use it is told so where the index is missing.
        log.error({ err: error, index: digest }, 'a partial index cannot be completed')
        await this.#delete(digest).catch(() => undefined)
      }
    }
    this.#setRestored()
  }

  /**
   * Makes the partial index of an image that brings startup pages. False where the whole is here
   * already, or where the pages are no pages of such an index: then the whole is to be had as always.
   * Where another image has brought other pages for the same index, the whole is waited for.
   */
  async begin(origin: PartialIndexOrigin, signal: AbortSignal): Promise<boolean> {
    const { registry, log } = this.#modules
    const { ref, pages, folder, stores } = origin
    const known = this.#partials.get(ref.digest)
    if (known?.pages === pages.digest) return true
    if (known !== undefined) {
      await this.complete(ref.digest, signal)
      return false
    }
    if (existsSync(registry.indexPath(ref.digest))) return false
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

  /** Has the whole index fetched some time after `start` has settled, until it is here. */
  completeAfter(digest: Digest, start: Promise<unknown>): void {
    const partial = this.#partials.get(digest)
    if (partial !== undefined) this.#complete(partial, start)
  }

  /**
   * Resolves when the whole index is here, fetched at once if need be. Throws what `IndexCache.ensure`
   * throws, and `invalid-content` where what was served is not part of it: its trees are then gone.
   */
  async complete(digest: Digest, signal: AbortSignal): Promise<void> {
    const whole = this.#isRestored.then(() => {
      const partial = this.#partials.get(digest)
      return partial && this.#completed(partial)
    })
    await cancellable(whole, signal, `wait for index ${digest}`)
  }

  /** Its trees are gone. */
  async forget(digest: Digest): Promise<void> {
    const partial = this.#partials.get(digest)
    if (partial === undefined) return
    this.#partials.delete(digest)
    partial.abort.abort()
    await this.#delete(digest)
  }

  /** Gives up what is under way; the next daemon goes on. Idempotent. */
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
    // Another image with the same tree may have brought further stores since.
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

  /** Synchronous, as `readLayerFile` is: containerd waits, and this is a millisecond. */
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

  /** What was written beside a partial index. */
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
