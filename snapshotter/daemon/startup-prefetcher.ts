/** The starts that are being brought in, by the tree they are for: begun at Commit, ended with the tree. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { ContentStore, Log, TreeClass, TreeRecord, TreeRegistry } from '../../fusefs/index.js'
import type { ThinSection } from '../../index-format/index.js'
import type { FuseServers } from './fuse-servers.js'
import type { ReadAhead } from './read-ahead.js'
import { StartupFlight } from './startup-flight.js'
import type { StoreSources } from './store-sources.js'

/** Read-ahead is held for this long at most: other containers open files, too. */
const MAX_HOLD_MS = 10_000

export interface StartupPrefetcherModules {
  readonly content: ContentStore
  readonly sources: StoreSources
  readonly registry: TreeRegistry
  readonly fuse: FuseServers
  readonly readAhead: ReadAhead
  readonly log: Log
}

export class StartupPrefetcher {
  readonly #mountpoints: Readonly<Record<TreeClass, string>>
  readonly #modules: StartupPrefetcherModules
  readonly #flights = new Map<number, StartupFlight>()

  constructor(
    options: { mountpoints: Readonly<Record<TreeClass, string>> },
    modules: StartupPrefetcherModules,
  ) {
    this.#mountpoints = options.mountpoints
    this.#modules = modules
  }

  /**
   * Begins to fetch the start of a recipe's merged tree; `undefined` where the recipe knows none.
   * `folder` holds the plan. Never throws: without it the image only starts slower. The caller hands
   * the flight on to `land`, or cancels it.
   */
  begin(thin: ThinSection, folder: string): StartupFlight | undefined {
    const { startup } = thin
    if (startup === undefined) return undefined
    const { content, log, sources } = this.#modules
    try {
      const source = sources.for(thin.stores)
      const planPath = join(folder, startup.plan.file)
      return new StartupFlight({ ref: startup, planPath, source }, { content, log })
    } catch (error) {
      log.warn({ err: error }, 'the start of an image cannot be fetched ahead')
      return undefined
    }
  }

  /** The tree of a flight is registered; the flight ends with it. Resolves when it may be used. */
  async land(flight: StartupFlight, tree: TreeRecord): Promise<void> {
    const { fuse, readAhead, registry } = this.#modules
    if (this.#flights.has(tree.slot)) {
      // Another image with the same tree is being pulled, and brings the same.
      flight.cancel()
      return
    }
    this.#flights.set(tree.slot, flight)
    const { release } = await readAhead.hold(tree.class)
    void Promise.race([flight.done, sleep(MAX_HOLD_MS)]).then(release)
    void flight.done.then(() => this.#flights.delete(tree.slot))
    flight.land({
      tree,
      directory: join(this.#mountpoints[tree.class], tree.name),
      indexPath: registry.indexPath(tree.indexDigest),
      kernelCache: fuse.server(tree.class).kernelCache,
    })
  }

  /** Whether anything is on its way. */
  get isBusy(): boolean {
    return this.#flights.size > 0
  }

  /** These trees are gone. */
  cancel(slots: readonly number[]): void {
    for (const slot of slots) this.#flights.get(slot)?.cancel()
  }

  /** Gives up everything under way. Idempotent. */
  async close(): Promise<void> {
    const flights = [...this.#flights.values()]
    for (const flight of flights) flight.cancel()
    await Promise.all(flights.map((flight) => flight.done))
  }
}

async function sleep(timeoutMs: number): Promise<void> {
  await delay(timeoutMs, undefined, { ref: false })
}
