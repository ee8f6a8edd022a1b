/**
 * Has the kernel look at the files of a plan, so that it knows their inodes: pages can be stored for
 * no others. Each file is looked at once.
 */
import type { KernelCache } from '../../../fusefs/index.js'
import { type Index, ROOT_INO } from '../../../index-format/index.js'
import type { FlightPlan } from './flight-plan.js'

/** Looked up in one go, so that calls do not wait for all of them. */
const FILES_IN_A_TURN = 16

export class KnownInodes {
  readonly #plan: Pick<FlightPlan, 'runs' | 'paths'>
  readonly #index: Index
  readonly #directory: Buffer
  readonly #kernelCache: Pick<KernelCache, 'look'>
  readonly #seen = new Set<number>()
  /** Of the files' directories: their inodes, undefined where there is none. */
  readonly #directories = new Map<string, number | undefined>([['', ROOT_INO]])

  constructor(
    plan: Pick<FlightPlan, 'runs' | 'paths'>,
    index: Index,
    target: { readonly directory: string; readonly kernelCache: Pick<KernelCache, 'look'> },
  ) {
    this.#plan = plan
    this.#index = index
    this.#directory = Buffer.from(`${target.directory}/`)
    this.#kernelCache = target.kernelCache
  }

  /** Files that are not where the plan says are left out: the kernel will take nothing for them. */
  meet(inos: Iterable<number>): void {
    const paths: Uint8Array[] = []
    for (const ino of inos) {
      if (this.#seen.has(ino)) continue
      this.#seen.add(ino)
      const path = this.#plan.paths.get(ino)
      if (path === undefined || !this.#leadsTo(path, ino)) continue
      paths.push(Buffer.concat([this.#directory, path]))
    }
    this.#kernelCache.look(paths)
  }

  /** All files of the plan in the order of the start, some at a time. */
  async meetAll(signal: AbortSignal): Promise<void> {
    const { runs } = this.#plan
    for (let at = 0; at < runs.length && !signal.aborted; at += FILES_IN_A_TURN) {
      this.meet(runs.slice(at, at + FILES_IN_A_TURN).map(({ ino }) => ino))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /** A path with a symbolic link in it would lead anywhere; in the index, none is followed. */
  #leadsTo(path: Uint8Array, ino: number): boolean {
    try {
      return this.#inoAt(Buffer.from(path).toString('latin1')) === ino
    } catch {
      // The index is broken: whoever wants the file will see why.
      return false
    }
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
