/**
 * Inodes that the kernel knows because we have looked at them: pages can be stored for no others.
 * Looked up without blocking this thread, which the mount may need to answer.
 */
import { lstat } from 'node:fs/promises'
import type { Index } from '../../index-format/index.js'
import type { FlightPlan } from './flight-plan.js'

export class KnownInodes {
  readonly #plan: Pick<FlightPlan, 'runs' | 'paths'>
  readonly #index: Index
  readonly #directory: Buffer
  readonly #met = new Map<number, Promise<boolean>>()

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
    let at = 1
    for (const name of Buffer.from(path).toString('latin1').split('/')) {
      const found = this.#index.lookup(at, Buffer.from(name, 'latin1'))
      if (found === undefined) return false
      at = found
    }
    return at === ino
  }
}
