/**
 * Asks the registry that has an image's content for shared profiles of its tree. Small profiles
 * come with the answer to the first request. A profile is only a hint of the bytes to fetch. The
 * tree's index verifies the bytes as always.
 */
import { mergedProfile, type Profile, type ThinSection } from '../../../index-format/index.js'
import type { Log } from '../../../fusefs/index.js'
import { readProfiles } from '../../profiles/profile-repository.js'
import type { StoreSources } from '../../stores/store-sources.js'
import type { ProfileFinder } from './starts.js'

/** A profile that arrives later is of no use for the start. */
const DEADLINE_MS = 10_000

export class SharedProfiles implements ProfileFinder {
  readonly #modules: { sources: StoreSources; log: Log }

  constructor(modules: { sources: StoreSources; log: Log }) {
    this.#modules = modules
  }

  async find(thin: ThinSection, signal: AbortSignal): Promise<Profile | undefined> {
    const { log, sources } = this.#modules
    const index = thin.merged?.digest
    if (index === undefined) return undefined
    try {
      const repository = sources.repositoryOf(thin.stores)
      if (repository === undefined) return undefined
      const deadline = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)])
      const [first, ...others] = (await readProfiles(repository, index, deadline)) ?? []
      return first === undefined ? undefined : mergedProfile(first, ...others)
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error, index }, 'no shared profile can be had')
      return undefined
    }
  }
}
