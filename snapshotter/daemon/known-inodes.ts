/**
 * Inodes that the kernel knows because we have looked at them: pages can be stored for no others.
 * Looked up without blocking this thread, which the mount may need to answer.
 */
import { lstat } from 'node:fs/promises'
import { type Index, ROOT_INO } from '../../index-format/index.js'
import type { FlightPlan } from './flight-plan.js'

export class KnownInodes {
  readonly #plan: Pick<FlightPlan, 'runs' | 'paths'>
  readonly #index: Index
  readonly #directory: Buffer
  readonly #met = new Map<number, Promise<boolean>>()
  /** Of the files' directories: their inodes, undefined where there is none. */
  readonly #directories = new Map<string, number | undefined>([['', ROOT_INO]])

  constructor(
    plan: Pick<FlightPlan, 'runs' | 'paths'>,
    index: Index,
    target: { readonly directory: string },
  ) {
    this.#plan = plan
    this.#index = index
    this.#directory = Buffer.from(`${target.directory}/`)
  }

  /** Whether the kernel knows the inode now. Never rejects. */
  meet(ino: number): Promise<boolean> {
    const known = this.#met.get(ino) ?? this.#look(ino)
    this.#met.set(ino, known)
    return known
  }

  /** Looks at all files of the plan in the order of the start, one after the other. */
  async meetAll(signal: AbortSignal): Promise<void> {
    for (const { ino } of this.#plan.runs) {
      if (signal.aborted) return
      if (!this.#met.has(ino)) await this.meet(ino)
    }
  }

  async #look(ino: number): Promise<boolean> {
    const path = this.#plan.paths.get(ino)
    try {
      if (path === undefined || !this.#leadsTo(path, ino)) return false
      await lstat(Buffer.concat([this.#directory, path]))
      return true
    } catch {
      // The tree or the mount is going, or the index is broken: whoever wants the file will see why.
      return false
    }
  }

  /** A path with a symbolic link in it would lead anywhere; in the index, none is followed. */
  #leadsTo(path: Uint8Array, ino: number): boolean {
    return this.#inoAt(Buffer.from(path).toString('latin1')) === ino
  }

  #inoAt(path: string): number | undefined {
    const slash = path.lastIndexOf('/')
    const directory = this.#directoryAt(path.slice(0, Math.max(slash, 0)))
    if (directory === undefined) return undefined
    return this.#index.lookup(directory, Buffer.from(path.slice(slash + 1), 'latin1'))
  }

  /** Files of a start share their directories: each is looked up once. */
  #directoryAt(path: string): number | undefined {
    if (this.#directories.has(path)) return this.#directories.get(path)
    const found = this.#inoAt(path)
    this.#directories.set(path, found)
    return found
  }
}
