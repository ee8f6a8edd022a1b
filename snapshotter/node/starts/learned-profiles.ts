/**
 * The profiles that this node has learned or been given, by the index of the tree: one file each,
 * `<hex>.profile`, which `thinctl profile show` reads, too. Bounded; what was used least recently goes.
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
  /** Profiles kept. Default 512. */
  readonly maxProfiles?: number
  /** Bytes of all of them. Default 32 MiB. */
  readonly maxBytes?: number
}

/** A profile as lists show it. */
export interface LearnedProfile {
  readonly index: Digest
  readonly path: string
  readonly sizeBytes: number
  /** Of its last use, or of its recording. */
  readonly usedMs: number
}

const NAME = /^[0-9a-f]{64}\.profile$/

export class LearnedProfiles {
  readonly #options: Required<LearnedProfilesOptions>
  readonly #log: Log
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve()

  private constructor(options: LearnedProfilesOptions, modules: { log: Log }) {
    this.#options = { maxProfiles: 512, maxBytes: 32 * 1024 * 1024, ...options }
    this.#log = modules.log
  }

  /** Makes the folder where there is none. Throws what the filesystem says. */
  static async open(
    options: LearnedProfilesOptions,
    modules: { log: Log },
  ): Promise<LearnedProfiles> {
    await mkdir(options.folder, { recursive: true, mode: 0o700 })
    return new LearnedProfiles(options, modules)
  }

  /** Undefined where there is none that can be read. Never throws. */
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

  /** Keeps a profile in the place of the one before. Never throws: it would be learned again. */
  async put(profile: Profile): Promise<void> {
    await this.#inTurn(async () => {
      const path = this.#path(profile.index)
      // What a crash cuts short is no profile, and is learned again: nothing needs to be durable.
      await writeFile(`${path}.new`, bytesFromProfile(profile), { mode: 0o600 })
      await rename(`${path}.new`, path)
      await this.#shrink()
    })
  }

  /** False where there was none. */
  async forget(index: Digest): Promise<boolean> {
    const known = (await this.list()).some((one) => one.index === index)
    await this.#inTurn(() => rm(this.#path(index), { force: true }))
    return known
  }

  /** The most recently used first. */
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

  /** Resolves when all changes are made. */
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
