/**
 * Bounds the disk space of the node's indexes. A recipe is written by a stranger and says how large
 * an index is: without a bound, a small image could fill the disk. Indexes count towards
 * `cache.size` and may take up to half of it; content that is cached makes room for them.
 */
import { readdirSync, statfsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { IndexRef } from '../../index-format/index.js'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'

export interface IndexBudgetOptions {
  /** The folders that hold whole and partial indexes. They need not exist. */
  readonly folders: readonly string[]
  /** `cache.size`, in bytes. */
  readonly maxBytes: number
}

export interface IndexBudgetModules {
  /** Called with the bytes that all indexes take, whenever that number may have changed. */
  readonly onUsage: (usageBytes: number) => void
  /** The free bytes of the disk that holds `folder`. Default: asks the filesystem. */
  readonly freeBytes?: (folder: string) => number
}

/** The part of `cache.size` that indexes may take. */
const MAX_SHARE = 0.5

export class IndexBudget {
  readonly #options: IndexBudgetOptions
  readonly #modules: Required<IndexBudgetModules>
  /** By path. */
  #sizes = new Map<string, number>()

  constructor(options: IndexBudgetOptions, modules: IndexBudgetModules) {
    this.#options = options
    this.#modules = { freeBytes: freeBytesOf, ...modules }
  }

  /**
   * Called before an index is written. Throws `failed-precondition`, naming `cache.size`, when the
   * indexes of this node would take more than their share of it, or when the disk has too little
   * free space.
   */
  admit(ref: IndexRef): void {
    const usageBytes = this.#measure() + ref.sizeBytes
    const what = `index ${ref.digest} of ${ref.sizeBytes} bytes is refused`
    const limitBytes = Math.floor(this.#options.maxBytes * MAX_SHARE)
    if (usageBytes > limitBytes) {
      throw new SnapshotterError(
        'failed-precondition',
        `${what}: the indexes of this node would take ${usageBytes} bytes, more than half of ` +
          `cache.size (${this.#options.maxBytes} bytes); remove images, or set a larger cache.size`,
      )
    }
    for (const folder of this.#options.folders) {
      const freeBytes = this.#modules.freeBytes(folder)
      if (freeBytes >= ref.sizeBytes) continue
      throw new SnapshotterError(
        'failed-precondition',
        `${what}: the disk of ${folder} has ${freeBytes} bytes left; free some space`,
      )
    }
    this.#modules.onUsage(usageBytes)
  }

  /** Measures what the indexes take now. For use after indexes were removed, and at the start. */
  refresh(): void {
    this.#modules.onUsage(this.#measure())
  }

  /** Index files never change their size once they have their name, so each is measured once. */
  #measure(): number {
    const sizes = new Map<string, number>()
    let usageBytes = 0
    for (const folder of this.#options.folders) {
      for (const name of namesIn(folder)) {
        const path = join(folder, name)
        const sizeBytes = this.#sizes.get(path) ?? sizeOf(path)
        if (sizeBytes === undefined) continue
        sizes.set(path, sizeBytes)
        usageBytes += sizeBytes
      }
    }
    this.#sizes = sizes
    return usageBytes
  }
}

/** The names in a folder; none where it does not exist yet. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw SnapshotterError.from(error, `list the indexes in ${folder}`)
  }
}

/** Undefined where the file is gone. A partial index counts as the whole one, which will follow. */
function sizeOf(path: string): number | undefined {
  try {
    return statSync(path).size
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw SnapshotterError.from(error, `measure the index ${path}`)
  }
}

/** No bound where the folder does not exist yet: writing will say what is wrong. */
function freeBytesOf(folder: string): number {
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    return Number.POSITIVE_INFINITY
  }
}
