/**
 * Has the kernel look up the files of a plan. The kernel takes pages only for inodes that it knows.
 * Each file is looked up once.
 */
import type { KernelCache } from '../../../fusefs/index.js'
import { type Index, ROOT_INO } from '../../../index-format/index.js'
import type { PrefetchPlan } from './start.js'

/**
 * Files looked up in one turn of the event loop. Calls of the snapshots service wait for a turn.
 */
const FILES_IN_A_TURN = 16

export class KernelLookups {
  readonly #plan: Pick<PrefetchPlan, 'runs' | 'paths'>
  readonly #index: Index
  readonly #directory: Buffer
  readonly #kernelCache: Pick<KernelCache, 'look'>
  readonly #seen = new Set<number>()
  /** The inodes of the files' directories, by path; undefined where the tree has none. */
  readonly #directories = new Map<string, number | undefined>([['', ROOT_INO]])

  constructor(
    plan: Pick<PrefetchPlan, 'runs' | 'paths'>,
    index: Index,
    target: { readonly directory: string; readonly kernelCache: Pick<KernelCache, 'look'> },
  ) {
    this.#plan = plan
    this.#index = index
    this.#directory = Buffer.from(`${target.directory}/`)
    this.#kernelCache = target.kernelCache
  }

  /**
   * Has the kernel look up these files. A file that is not where the plan says is left out: the
   * kernel takes no pages for it.
   */
  lookUp(inos: Iterable<number>): void {
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

  /** Has the kernel look up all files of the plan in the order of the start, 16 at a time. */
  async lookUpAll(signal: AbortSignal): Promise<void> {
    const { runs } = this.#plan
    for (let at = 0; at < runs.length && !signal.aborted; at += FILES_IN_A_TURN) {
      this.lookUp(runs.slice(at, at + FILES_IN_A_TURN).map(({ ino }) => ino))
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  /**
   * Whether the index has `ino` at `path`. Follows no symbolic link, because a link could lead out
   * of the tree.
   */
  #leadsTo(path: Uint8Array, ino: number): boolean {
    try {
      return this.#inoAt(Buffer.from(path).toString('latin1')) === ino
    } catch {
      // The index is damaged. A read of the file will report it.
      return false
    }
  }

  #inoAt(path: string): number | undefined {
    const slash = path.lastIndexOf('/')
    const directory = this.#directoryAt(path.slice(0, Math.max(slash, 0)))
    if (directory === undefined) return undefined
    return this.#index.lookup(directory, Buffer.from(path.slice(slash + 1), 'latin1'))
  }

  /** The inode of a directory. Files of a start share directories, so each is looked up once. */
  #directoryAt(path: string): number | undefined {
    if (this.#directories.has(path)) return this.#directories.get(path)
    const found = this.#inoAt(path)
    this.#directories.set(path, found)
    return found
  }
}
