/** All prefetches that are under way, by the slot of their tree. A prefetch ends with its tree. */
import { join } from 'node:path'
import type {
  ContentStore,
  Log,
  TreeClass,
  TreeRecord,
  TreeRegistry,
} from '../../../fusefs/index.js'
import { openTreeIndex } from '../../indexes/open-tree-index.js'
import type { StoreSources } from '../../stores/store-sources.js'
import type { FuseServers } from '../fuse-servers.js'
import type { Start } from './start.js'
import { type PrefetchTarget, StartPrefetch } from './start-prefetch.js'

export interface StartPrefetcherModules {
  readonly content: ContentStore
  readonly sources: StoreSources
  readonly registry: TreeRegistry
  readonly fuse: FuseServers
  readonly log: Log
}

export interface PrefetchOptions {
  /** The stores that the recipe names, in order. */
  readonly stores: readonly string[]
  /**
   * Resolves when the tree is registered and its mount may be used. A rejection ends the prefetch.
   */
  readonly tree: Promise<TreeRecord>
}

export class StartPrefetcher {
  readonly #mountpoints: Readonly<Record<TreeClass, string>>
  readonly #modules: StartPrefetcherModules
  readonly #running = new Set<StartPrefetch>()
  /** By slot. A guessed and a shared start of one tree may be prefetched at the same time. */
  readonly #bySlot = new Map<number, Set<StartPrefetch>>()

  constructor(
    options: { mountpoints: Readonly<Record<TreeClass, string>> },
    modules: StartPrefetcherModules,
  ) {
    this.#mountpoints = options.mountpoints
    this.#modules = modules
  }

  /**
   * Fetches the bytes of a start and stores them in the page cache of its tree. Fetching begins at
   * once, before the tree is registered. Returns `undefined` if the stores cannot be used. This is
   * logged, and the image only starts more slowly. Never throws.
   */
  prefetch(
    start: Start,
    { stores, tree }: PrefetchOptions,
  ): Pick<StartPrefetch, 'done'> | undefined {
    const { content, log, sources } = this.#modules
    try {
      const source = sources.for(stores)
      const target = tree.then((record) => this.#targetOf(record))
      const prefetch = new StartPrefetch({ start, source, target }, { content, log })
      this.#keep(prefetch, start, tree)
      return prefetch
    } catch (error) {
      log.warn({ err: error }, 'the start of an image cannot be fetched ahead')
      return undefined
    }
  }

  /** Whether any start is being prefetched. */
  get isBusy(): boolean {
    return this.#running.size > 0
  }

  /** Ends the prefetches of trees that have been removed. */
  cancel(slots: readonly number[]): void {
    for (const slot of slots) for (const one of this.#bySlot.get(slot) ?? []) one.cancel()
  }

  /** Gives up everything under way. Idempotent. */
  async close(): Promise<void> {
    const running = [...this.#running]
    for (const prefetch of running) prefetch.cancel()
    await Promise.all(running.map(({ done }) => done))
  }

  #keep(prefetch: StartPrefetch, { origin }: Start, tree: Promise<TreeRecord>): void {
    this.#running.add(prefetch)
    let slot: number | undefined
    const onTree = (record: TreeRecord): void => {
      if (!this.#running.has(prefetch)) return
      if (origin === 'image' && this.#bySlot.has(record.slot)) {
        // Another image with the same tree is being pulled, and brings the same bytes.
        prefetch.cancel()
        return
      }
      ;({ slot } = record)
      this.#bySlot.set(slot, (this.#bySlot.get(slot) ?? new Set()).add(prefetch))
    }
    // A rejection of `tree` also rejects the prefetch's target, and that ends the prefetch.
    tree.then(onTree, () => undefined)
    void prefetch.done.then(() => {
      this.#running.delete(prefetch)
      if (slot === undefined) return
      const others = this.#bySlot.get(slot)
      others?.delete(prefetch)
      if (others?.size === 0) this.#bySlot.delete(slot)
    })
  }

  #targetOf(tree: TreeRecord): PrefetchTarget {
    const { fuse, registry } = this.#modules
    return {
      tree,
      directory: join(this.#mountpoints[tree.class], tree.name),
      openIndex: () => openTreeIndex(registry, tree.indexDigest),
      kernelCache: fuse.server(tree.class).kernelCache,
    }
  }
}
