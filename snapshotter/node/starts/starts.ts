/**
 * The starts of this node's images. `openTree` is the one place that orders what has to happen
 * before a merged tree may be used, and everything that makes its first start fast:
 *
 * 1. The start that the image was published with begins to be prefetched: its plan is in the thin
 *    layer and needs no index. Without one, this node's learned profile is read, and if there is
 *    none, the stores are asked for a shared one.
 * 2. The index, or the part of it that a start needs, is stored, and the tree is registered.
 * 3. The threads of the tree's mount are started.
 * 4. A published start: read-ahead is held while it is prefetched.
 *    Any other start: the learned one is prefetched, else the guess, then the shared one when it
 *    arrives. A start that nobody knows is learned.
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

/** A source of profiles that is asked where the node has learned none. */
export interface ProfileFinder {
  /** The profile of the recipe's merged tree. Undefined where there is none. Never rejects. */
  find(thin: ThinSection, signal: AbortSignal): Promise<Profile | undefined>
}

/** A source of profiles in the files of the thin layer. */
export interface GuessReader {
  /** Undefined where there is none that can be read. Never throws. */
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
  /** Whether a snapshot uses the tree already. Its program has then started before. */
  readonly isUsed: (tree: TreeRecord) => boolean
}

/** Read-ahead is held for at most this long: other containers open files, too. */
const MAX_HOLD_MS = 10_000

export class Starts {
  readonly #modules: StartsModules
  readonly #abort = new AbortController()
  /** Trees for which a shared profile is awaited, by slot. */
  readonly #awaitingShared = new Map<number, Promise<void>>()

  constructor(modules: StartsModules) {
    this.#modules = modules
  }

  /** Steps 1 to 5 above. Throws what `register` and `prepareMount` throw. */
  async openTree(options: OpenTreeOptions): Promise<TreeRecord> {
    const { thin, folder } = options
    return thin.startup === undefined
      ? this.#openUnpublished(options)
      : this.#openPublished(options, publishedStart(thin.startup, folder))
  }

  /** Trees are gone. Their prefetches end, and what was read of them so far is learned. */
  removed(slots: readonly number[]): void {
    const { learner, prefetcher } = this.#modules
    prefetcher.cancel(slots)
    for (const slot of slots) {
      this.#awaitingShared.delete(slot)
      learner?.finish(slot)
    }
  }

  /** Somebody records the tree in `slot`: a profile learned at the same time would be wrong. */
  recorded(slot: number): void {
    this.#modules.learner?.drop(slot)
  }

  /** Ends all prefetches, and keeps what was learned so far. Idempotent. */
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
    // Neither of these two rejects.
    const known = profiles.get(thin.merged.digest)
    const found = known.then((profile) =>
      profile === undefined ? shared?.find(thin, this.#abort.signal) : undefined,
    )
    const tree = await this.#register(options)
    partialIndexes.completeAfter(tree.indexDigest, Promise.resolve())
    if (isUsed(tree)) return tree
    const learned = await known
    if (learned !== undefined) {
      // When it was learned, guessed pages were in the page cache already, so it lacks them.
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
      // The tree may be gone. Its slot is never used again.
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

  /** The kernel reads ahead as always: the neighbours of a page of ordinary packs are in its frame. */
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
      // Not in this turn of the event loop: the caller, and containerd behind it, need not wait.
      await new Promise((resolve) => setImmediate(resolve))
      await partialIndexes.complete(index, this.#abort.signal)
      return planOfProfile(profile, registry.indexPath(index))
    }
  }
}
