/**
 * Starts of images that were published without a recorded one: this node brings them in as it has learned them,
 * or as somebody shared them through the image's store, or as they were guessed, and learns those
 * that nobody knows. None of this is waited for: a pull is as fast as without.
 */
import { join } from 'node:path'
import type { Log, TreeRecord } from '../../../fusefs/index.js'
import {
  mergedProfile,
  type Profile,
  profileFromBytes,
  type ThinSection,
} from '../../../index-format/index.js'
import { readLayerFile } from '../../images/layer-file.js'
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
  readonly log: Log
}

/** What is known of the start of a tree that is not registered yet. */
export interface PendingStart {
  readonly guess: Profile | undefined
  /** Neither of these rejects. */
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

  /**
   * Begins to look for the start of a recipe's merged tree, beside all else that a pull does. `folder`
   * holds the thin layer's files.
   */
  begin(thin: ThinSection, folder: string): PendingStart {
    const { profiles, finder } = this.#modules
    const guess = this.#guess(thin, folder)
    const digest = thin.merged?.digest
    const learned = digest === undefined ? Promise.resolve(undefined) : profiles.get(digest)
    const shared = learned.then((known) =>
      known === undefined ? finder?.find(thin, this.#abort.signal) : undefined,
    )
    return { guess, learned, shared }
  }

  /** The tree is registered, and nobody has used it before. Resolves when it may be used. */
  async land(pending: PendingStart, tree: TreeRecord, stores: readonly string[]): Promise<void> {
    const { learner, startup } = this.#modules
    const { guess } = pending
    const learned = await pending.learned
    if (learned !== undefined) {
      // What had been guessed was in the page cache already when the rest was learned.
      const profile = guess === undefined ? learned : mergedProfile(guess, learned)
      startup.fly(profile, { tree, stores, origin: 'learned' })
      return
    }
    learner?.watch(tree)
    if (guess !== undefined) startup.fly(guess, { tree, stores, origin: 'guess' })
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

  #guess({ guess }: ThinSection, folder: string): Profile | undefined {
    if (guess === undefined) return undefined
    try {
      return profileFromBytes(readLayerFile(guess, join(folder, guess.file)))
    } catch (error) {
      this.#modules.log.warn({ err: error }, 'what a start is guessed to read is not known')
      return undefined
    }
  }

  #use(shared: Profile, tree: TreeRecord, stores: readonly string[]): void {
    const { learner, profiles, startup } = this.#modules
    // From now on READs tell only what the profile lacks.
    learner?.drop(tree.slot)
    void profiles.put({ ...shared, index: tree.indexDigest })
    startup.fly(shared, { tree, stores, origin: 'shared' })
  }
}
