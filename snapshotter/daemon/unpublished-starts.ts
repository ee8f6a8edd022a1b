/**
 * Starts of images that were published without a recorded one: this node brings them in as it has learned them,
 * or as somebody shared them through the image's store, and learns those that nobody knows. None of
 * this is waited for: a pull is as fast as without.
 */
import type { TreeRecord } from '../../fusefs/index.js'
import type { Profile, ThinSection } from '../../index-format/index.js'
import type { LearnedProfiles } from './learned-profiles.js'
import type { StartLearner } from './start-learner.js'
import type { StartupPrefetcher } from './startup-prefetcher.js'

/** Where profiles are shared. */
export interface ProfileFinder {
  /** The profile of a merged tree, as its stores have it. Never rejects. */
  find(thin: ThinSection, signal: AbortSignal): Promise<Profile | undefined>
}

export interface UnpublishedStartsModules {
  readonly profiles: LearnedProfiles
  readonly startup: StartupPrefetcher
  /** Undefined: nothing is learned. */
  readonly learner: StartLearner | undefined
  /** Undefined: nobody is asked. */
  readonly finder: ProfileFinder | undefined
}

/** What is known of the start of a tree that is not registered yet. */
export interface PendingStart {
  readonly learned: Promise<Profile | undefined>
  /** Asked for at once where nothing was learned. */
  readonly shared: Promise<Profile | undefined>
}

export class UnpublishedStarts {
  readonly #modules: UnpublishedStartsModules
  readonly #abort = new AbortController()
  /** Trees whose shared profile is waited for. */
  readonly #waiting = new Map<number, object>()

  constructor(modules: UnpublishedStartsModules) {
    this.#modules = modules
  }

  /** Begins to look for the start of a recipe's merged tree, beside all else that a pull does. */
  begin(thin: ThinSection): PendingStart {
    const { profiles, finder } = this.#modules
    const digest = thin.merged?.digest
    const learned = digest === undefined ? Promise.resolve(undefined) : profiles.get(digest)
    const shared = learned.then((known) =>
      known === undefined ? finder?.find(thin, this.#abort.signal) : undefined,
    )
    return { learned, shared }
  }

  /** The tree is registered, and nobody has used it before. Resolves when it may be used. */
  async land(pending: PendingStart, tree: TreeRecord, stores: readonly string[]): Promise<void> {
    const { learner, startup } = this.#modules
    const learned = await pending.learned
    if (learned !== undefined) {
      startup.fly(learned, { tree, stores, origin: 'learned' })
      return
    }
    learner?.watch(tree)
    const waiting = {}
    this.#waiting.set(tree.slot, waiting)
    void pending.shared.then((shared) => {
      // The tree may have gone, and its slot is not used again.
      if (this.#waiting.get(tree.slot) !== waiting) return
      this.#waiting.delete(tree.slot)
      if (shared !== undefined) this.#use(shared, tree, stores)
    })
  }

  /** These trees go. What was learned of them is kept. */
  cancel(slots: readonly number[]): void {
    for (const slot of slots) {
      this.#waiting.delete(slot)
      this.#modules.learner?.finish(slot)
    }
  }

  /** Somebody records this tree: what is learned beside would be wrong. */
  drop(slot: number): void {
    this.#modules.learner?.drop(slot)
  }

  /** Keeps what was learned, asks for nothing any more. Idempotent. */
  close(): void {
    this.#abort.abort()
    this.#waiting.clear()
    this.#modules.learner?.close()
  }

  #use(shared: Profile, tree: TreeRecord, stores: readonly string[]): void {
    const { learner, profiles, startup } = this.#modules
    // From now on READs tell only what the profile lacks.
    learner?.drop(tree.slot)
    void profiles.put({ ...shared, index: tree.indexDigest })
    startup.fly(shared, { tree, stores, origin: 'shared' })
  }
}
