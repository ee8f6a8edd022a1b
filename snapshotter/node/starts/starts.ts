/**
 * The starts of this node's images. `openTree` makes a merged tree ready for use and its first
 * start fast. Its steps, in order:
 *
 * 1. The start that the image was published with begins to be prefetched: its plan is in the thin
 *    layer and needs no index. Without one, this node's learned profile is read, and if there is
 *    none, the stores are asked for a shared one.
 * 2. The index, or the part of it that a start needs, is stored, and the tree is registered.
 * 3. The threads of the tree's mount are started.
 * 4. A published start: read-ahead is held while it is prefetched.
 *    Any other start: the learned profile is prefetched, together with the guess. Without a learned
 *    profile, the guess is prefetched alone, then the shared profile when it arrives. Until it
 *    arrives, this node learns the start.
 * 5. When a published start has been prefetched, the rest of a partial index is fetched.
 *
 * The pull waits for 1 to 3 and for the hold of 4. It does not wait for bytes of a start.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { TreeClass, TreeRecord, TreeRegistry } from '../../../fusefs/index.js'
import {
  type Digest,
  type IndexRef,
  mergedProfile,
  type Profile,
  type ThinSection,
} from '../../../index-format/index.js'
import type { PartialIndexes } from '../../indexes/partial-indexes.js'
import type { LearnedProfiles } from './learned-profiles.js'
import { planOfProfile } from './profile-plan.js'
import { publishedStart } from './published-start.js'
import type { ReadAhead } from './read-ahead.js'
import type { Start, StartOrigin } from './start.js'
import type { StartLearner } from './start-learner.js'
import type { StartPrefetcher } from './start-prefetcher.js'

/** A source of profiles for trees of which this node has learned none. */
export interface ProfileFinder {
  /** The profile of the recipe's merged tree. `undefined` if there is none. Never rejects. */
  find(thin: ThinSection, signal: AbortSignal): Promise<Profile | undefined>
}

/** A source of profiles in the files of the thin layer. */
export interface GuessReader {
  /** The guessed profile. `undefined` if the layer has none that can be read. Never throws. */
  read(thin: ThinSection, folder: string): Profile | undefined
}

export interface StartsModules {
  readonly prefetcher: Pick<StartPrefetcher, 'prefetch' | 'cancel' | 'close'>
  readonly registry: Pick<TreeRegistry, 'indexPath'>
  readonly partialIndexes: Pick<PartialIndexes, 'complete' | 'completeAfter'>
  readonly readAhead: Pick<ReadAhead, 'hold'>
  readonly learned: Pick<LearnedProfiles, 'get' | 'put' | 'settled'>
  readonly guesses: GuessReader
  /** Undefined: nothing is learned. */
  readonly learner: Pick<StartLearner, 'watch' | 'finish' | 'drop' | 'close'> | undefined
  /** Undefined: no store is asked for shared profiles. */
  readonly shared: ProfileFinder | undefined
  /** Resolves when the mount of a class may be used by this process. */
  readonly prepareMount: (treeClass: TreeClass) => Promise<void>
}

/** A merged tree that a pull makes available. */
export interface OpenTreeOptions {
  readonly thin: ThinSection & { readonly merged: IndexRef }
  /** The folder that holds the files of the thin layer. */
  readonly folder: string
  /** Stores the index and registers the tree. */
  readonly register: () => Promise<TreeRecord>
  /**
   * Whether a snapshot uses the tree already. Then its program has started before, and only a
   * published start is prefetched.
   */
  readonly isUsed: (tree: TreeRecord) => boolean
}

/** Read-ahead is held for at most this long, because other containers use the same mount. */
const MAX_HOLD_MS = 10_000

export class Starts {
  readonly #modules: StartsModules
  readonly #abort = new AbortController()
  /** Trees for which a shared profile is awaited, by slot. */
  readonly #awaitingShared = new Map<number, Promise<void>>()

  constructor(modules: StartsModules) {
    this.#modules = modules
  }

  /** Steps 1 to 5 above. Throws the errors of `register` and `prepareMount`. */
  async openTree(options: OpenTreeOptions): Promise<TreeRecord> {
    const { thin, folder } = options
    return thin.startup === undefined
      ? this.#openUnpublished(options)
      : this.#openPublished(options, publishedStart(thin.startup, folder))
  }

  /**
   * Called when trees have been removed. Their prefetches end. Profiles that are being learned are
   * kept as they are.
   */
  removed(slots: readonly number[]): void {
    const { learner, prefetcher } = this.#modules
    prefetcher.cancel(slots)
    for (const slot of slots) {
      this.#awaitingShared.delete(slot)
      learner?.finish(slot)
    }
  }

  /**
   * Called when a recording of the tree in `slot` begins. A profile that is learned at the same
   * time would be wrong, so it is dropped.
   */
  recorded(slot: number): void {
    this.#modules.learner?.drop(slot)
  }

  /** Ends all prefetches. Keeps the profiles that are being learned, as they are. Idempotent. */
  async close(): Promise<void> {
    const { learned, learner, prefetcher } = this.#modules
    this.#abort.abort()
    const awaiting = [...this.#awaitingShared.values()]
    this.#awaitingShared.clear()
    learner?.close()
    await Promise.all([prefetcher.close(), ...awaiting])
    await learned.settled()
  }

  async #openPublished(options: OpenTreeOptions, start: Start): Promise<TreeRecord> {
    const { prefetcher, readAhead } = this.#modules
    const { stores } = options.thin
    const opened = Promise.resolve().then(() => this.#register(options))
    const prefetch = prefetcher.prefetch(start, { stores, tree: opened })
    const tree = await opened
    const prefetched = prefetch?.done ?? Promise.resolve()
    this.#modules.partialIndexes.completeAfter(tree.indexDigest, prefetched)
    if (prefetch === undefined) return tree
    const { release } = await readAhead.hold(tree.class)
    void Promise.race([prefetched, delay(MAX_HOLD_MS, undefined, { ref: false })]).then(release)
    return tree
  }

  async #openUnpublished(options: OpenTreeOptions): Promise<TreeRecord> {
    const { guesses, learned: profiles, learner, partialIndexes, shared } = this.#modules
    const { thin, folder, isUsed } = options
    const { stores } = thin
    const guess = guesses.read(thin, folder)
    // Neither of the next two promises rejects.
    const known = profiles.get(thin.merged.digest)
    const found = known.then((profile) =>
      profile === undefined ? shared?.find(thin, this.#abort.signal) : undefined,
    )
    const tree = await this.#register(options)
    partialIndexes.completeAfter(tree.indexDigest, Promise.resolve())
    if (isUsed(tree)) return tree
    const learned = await known
    if (learned !== undefined) {
      // The guessed pages were in the page cache when this profile was learned, so it lacks them.
      const profile = guess === undefined ? learned : mergedProfile(guess, learned)
      this.#prefetchProfile(profile, 'learned', { tree, stores })
      return tree
    }
    learner?.watch(tree)
    if (guess !== undefined) this.#prefetchProfile(guess, 'guess', { tree, stores })
    this.#awaitShared(found, { tree, stores })
    return tree
  }

  async #register({ register }: OpenTreeOptions): Promise<TreeRecord> {
    const tree = await register()
    await this.#modules.prepareMount(tree.class)
    return tree
  }

  #awaitShared(
    found: Promise<Profile | undefined>,
    to: { tree: TreeRecord; stores: readonly string[] },
  ): void {
    const { slot } = to.tree
    const awaiting: Promise<void> = found.then((shared) => {
      // The tree may have been removed meanwhile. Its slot is never used again.
      if (this.#awaitingShared.get(slot) !== awaiting) return
      this.#awaitingShared.delete(slot)
      if (shared !== undefined) this.#useShared(shared, to)
    })
    this.#awaitingShared.set(slot, awaiting)
  }

  #useShared(shared: Profile, to: { tree: TreeRecord; stores: readonly string[] }): void {
    const { learned, learner } = this.#modules
    const { indexDigest, slot } = to.tree
    // From now on, the kernel sends READs only for pages that the shared profile lacks.
    learner?.drop(slot)
    void learned.put({ ...shared, index: indexDigest })
    this.#prefetchProfile(shared, 'shared', to)
  }

  /**
   * Prefetches without holding the kernel's read-ahead. These frames are in ordinary packs, where a
   * page's neighbours are in the same frame, so reading them ahead costs no request.
   */
  #prefetchProfile(
    profile: Profile,
    origin: StartOrigin,
    { tree, stores }: { tree: TreeRecord; stores: readonly string[] },
  ): void {
    const readPlan = this.#planReader(profile, tree.indexDigest)
    this.#modules.prefetcher.prefetch({ origin, readPlan }, { stores, tree: Promise.resolve(tree) })
  }

  #planReader(profile: Profile, index: Digest): Start['readPlan'] {
    const { partialIndexes, registry } = this.#modules
    return async () => {
      // Continue in a later turn of the event loop, because containerd waits for the caller.
      await new Promise((resolve) => setImmediate(resolve))
      await partialIndexes.complete(index, this.#abort.signal)
      return planOfProfile(profile, registry.indexPath(index))
    }
  }
}
