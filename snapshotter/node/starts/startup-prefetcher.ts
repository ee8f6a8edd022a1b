/** The starts that are being brought in, by the tree they are for: begun at Commit, ended with the tree. */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type {
  ContentStore,
  Log,
  TreeClass,
  TreeRecord,
  TreeRegistry,
} from '../../../fusefs/index.js'
import type { Profile, ThinSection } from '../../../index-format/index.js'
import { type FlightPlan, planOfImage, type ProfileOrigin } from './flight-plan.js'
import type { FuseServers } from '../daemon/fuse-servers.js'
import { openTreeIndex } from '../../indexes/open-tree-index.js'
import type { PartialIndexes } from '../../indexes/partial-indexes.js'
import type { ReadAhead } from './read-ahead.js'
import { planOfProfile } from './profile-plan.js'
import { StartupFlight } from './startup-flight.js'
import type { StoreSources } from '../../stores/store-sources.js'

/** Read-ahead is held for this long at most: other containers open files, too. */
const MAX_HOLD_MS = 10_000

export interface StartupPrefetcherModules {
  readonly content: ContentStore
  readonly sources: StoreSources
  readonly registry: TreeRegistry
  readonly partialIndexes: PartialIndexes
  readonly fuse: FuseServers
  readonly readAhead: ReadAhead
  readonly log: Log
}

export class StartupPrefetcher {
  readonly #mountpoints: Readonly<Record<TreeClass, string>>
  readonly #modules: StartupPrefetcherModules
  /** By slot. A guessed start may be under way together with what somebody shared. */
  readonly #flights = new Map<number, Set<StartupFlight>>()

  constructor(
    options: { mountpoints: Readonly<Record<TreeClass, string>> },
    modules: StartupPrefetcherModules,
  ) {
    this.#mountpoints = options.mountpoints
    this.#modules = modules
  }

  /**
   * Begins to fetch the start of a recipe's merged tree; `undefined` where the recipe knows none.
   * `folder` holds the thin layer's files. Never throws: without it the image only starts slower. The caller hands
   * the flight on to `land`, or cancels it.
   */
  begin(thin: ThinSection, folder: string): StartupFlight | undefined {
    const { startup } = thin
    if (startup === undefined) return undefined
    const { content, log, sources } = this.#modules
    try {
      const source = sources.for(thin.stores)
      const readPlan = (): FlightPlan => planOfImage(startup, folder)
      return new StartupFlight({ readPlan, source }, { content, log })
    } catch (error) {
      log.warn({ err: error }, 'the start of an image cannot be fetched ahead')
      return undefined
    }
  }

  /** The tree of a flight is registered; the flight ends with it. Resolves when it may be used. */
  async land(flight: StartupFlight, tree: TreeRecord): Promise<void> {
    const { readAhead } = this.#modules
    if (this.#flights.has(tree.slot)) {
      // Another image with the same tree is being pulled, and brings the same.
      flight.cancel()
      return
    }
    this.#track(flight, tree)
    const { release } = await readAhead.hold(tree.class)
    void Promise.race([flight.done, sleep(MAX_HOLD_MS)]).then(release)
    this.#land(flight, tree)
  }

  /**
   * Brings in what a profile names of a registered tree; the flight ends with it. Never throws. The
   * kernel reads ahead as always: what surrounds a page of ordinary packs is in the same frames.
   */
  fly(
    profile: Profile,
    to: { tree: TreeRecord; stores: readonly string[]; origin: ProfileOrigin },
  ): void {
    const { tree, stores, origin } = to
    const { content, log, partialIndexes, registry, sources } = this.#modules
    try {
      const indexPath = registry.indexPath(tree.indexDigest)
      // Not in this turn: the caller, and containerd behind it, need not wait for the planning.
      const readPlan = async (): Promise<FlightPlan> => {
        await new Promise((resolve) => setImmediate(resolve))
        await partialIndexes.complete(tree.indexDigest, new AbortController().signal)
        return planOfProfile(profile, { indexPath, origin })
      }
      const flight = new StartupFlight({ readPlan, source: sources.for(stores) }, { content, log })
      this.#track(flight, tree)
      this.#land(flight, tree)
    } catch (error) {
      log.warn({ err: error }, 'the start of an image cannot be fetched ahead')
    }
  }

  /** Whether anything is on its way. */
  get isBusy(): boolean {
    return this.#flights.size > 0
  }

  /** These trees are gone. */
  cancel(slots: readonly number[]): void {
    for (const slot of slots) for (const flight of this.#flights.get(slot) ?? []) flight.cancel()
  }

  /** Gives up everything under way. Idempotent. */
  async close(): Promise<void> {
    const flights = [...this.#flights.values()].flatMap((some) => [...some])
    for (const flight of flights) flight.cancel()
    await Promise.all(flights.map((flight) => flight.done))
  }

  #track(flight: StartupFlight, { slot }: TreeRecord): void {
    const flights = this.#flights.get(slot) ?? new Set()
    this.#flights.set(slot, flights.add(flight))
    void flight.done.then(() => {
      flights.delete(flight)
      if (flights.size === 0) this.#flights.delete(slot)
    })
  }

  #land(flight: StartupFlight, tree: TreeRecord): void {
    const { fuse, registry } = this.#modules
    flight.land({
      tree,
      directory: join(this.#mountpoints[tree.class], tree.name),
      openIndex: () => openTreeIndex(registry, tree.indexDigest),
      kernelCache: fuse.server(tree.class).kernelCache,
    })
  }
}

async function sleep(timeoutMs: number): Promise<void> {
  await delay(timeoutMs, undefined, { ref: false })
}
