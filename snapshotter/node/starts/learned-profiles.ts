/**
 * The profiles that this node has learned or fetched, by the digest of the tree's index. Each is
 * one file, `<hex>.profile`, which `thinctl profile show` can read. Number and size are bounded:
 * the least recently used profiles are removed.
 */
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Log } from '../../../fusefs/index.js'
import {
  bytesFromProfile,
  type Digest,
  digestFromString,
  hexOf,
  type Profile,
  profileFromBytes,
} from '../../../index-format/index.js'
import { systemErrorCode } from '../../../index-format/system-error.js'

export interface LearnedProfilesOptions {
  readonly folder: string
  /** Number of profiles that are kept. Default 512. */
  readonly maxProfiles?: number
  /** Bytes of all profiles together. Default 32 MiB. */
  readonly maxBytes?: number
}

/** A profile as lists show it. */
export interface LearnedProfile {
  readonly index: Digest
  readonly path: string
  readonly sizeBytes: number
  /** Time of the last use or of the recording, in milliseconds since 1970. */
  readonly usedMs: number
}

const NAME = /^[0-9a-f]{64}\.profile$/

export class LearnedProfiles {
  readonly #options: Required<LearnedProfilesOptions>
  readonly #log: Log
  /** The last queued change. Changes are made one after the other. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(options: LearnedProfilesOptions, modules: { log: Log }) {
    this.#options = { maxProfiles: 512, maxBytes: 32 * 1024 * 1024, ...options }
    this.#log = modules.log
  }

  /** Makes the folder where it is missing. Throws the filesystem's errors. Needs no close. */
  static async open(
    options: LearnedProfilesOptions,
    modules: { log: Log },
  ): Promise<LearnedProfiles> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 })
    return new LearnedProfiles(options, modules)
  }

  /**
   * The profile of a tree. Undefined where there is none, or none that can be read. Never throws.
   */
  async get(index: Digest): Promise<Profile | undefined> {
    const path = this.#path(index)
    try {
      const { size } = await stat(path)
      const profile =
        size > this.#options.maxBytes ? undefined : profileFromBytes(await readFile(path))
      const now = new Date()
      await utimes(path, now, now)
      return profile?.index === index ? profile : undefined
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT')
        this.#log.warn({ err: error, path }, 'a learned profile cannot be read')
      return undefined
    }
  }

  /**
   * Stores a profile and replaces an older one. Never throws: an error is logged, because the
   * profile can be learned again.
   */
  async put(profile: Profile): Promise<void> {
    await this.#inTurn(async () => {
      const path = this.#path(profile.index)
      // Not synced: a file that a crash cuts short does not parse, and its profile is learned
      // again.
      await writeFile(`${path}.new`, bytesFromProfile(profile), { mode: 0o600 })
      await rename(`${path}.new`, path)
      await this.#shrink()
    })
  }

  /** Removes a profile. Returns false where there was none. */
  async forget(index: Digest): Promise<boolean> {
    const known = (await this.list()).some((one) => one.index === index)
    await this.#inTurn(() => rm(this.#path(index), { force: true }))
    return known
  }

  /** All profiles, the most recently used first. */
  async list(): Promise<LearnedProfile[]> {
    const { folder } = this.#options
    const found: LearnedProfile[] = []
    for (const name of await readdir(folder)) {
      if (!NAME.test(name)) continue
      const path = join(folder, name)
      const facts = await stat(path).catch(() => undefined)
      if (facts === undefined) continue
      const index = digestFromString(`sha256:${name.slice(0, 64)}`, 'index')
      found.push({ index, path, sizeBytes: facts.size, usedMs: facts.mtimeMs })
    }
    return found.sort((a, b) => b.usedMs - a.usedMs)
  }

  /** Resolves when all queued changes are made. */
  async settled(): Promise<void> {
    await this.#last
  }

  async #shrink(): Promise<void> {
    const { maxBytes, maxProfiles } = this.#options
    let bytes = 0
    for (const [at, { path, sizeBytes }] of (await this.list()).entries()) {
      bytes += sizeBytes
      if (at >= maxProfiles || bytes > maxBytes) await rm(path, { force: true })
    }
  }

  #inTurn(change: () => Promise<unknown>): Promise<void> {
    const turn = this.#last.then(change).then(
      () => undefined,
      (error: unknown) => {
        this.#log.warn({ err: error }, 'a learned profile cannot be kept')
      },
    )
    this.#last = turn
    return turn
  }

  #path(index: Digest): string {
    return join(this.#options.folder, `${hexOf(index)}.profile`)
  }
}
