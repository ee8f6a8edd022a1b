/**
 * Fetches the libraries that an ELF file needs, as soon as a program waits for the file's first
 * bytes. The file names its libraries, and the dynamic loader opens all of them, one after the
 * other, before the program continues. This helps plugins, modules of interpreters, and programs
 * that no profile and no guess covers. No caller waits for it. If it fails, the start is as slow as
 * without it.
 */
import { LRUCache } from 'lru-cache'
import type { ContentStore, Log, TreeRegistry } from '../../../fusefs/index.js'
import { isElf } from '../../trees/elf-file.js'
import { pathOf } from '../../../index-format/index.js'
import {
  type ClaimLibrary,
  type Library,
  LibraryWalk,
  type LibraryWalkModules,
} from './library-walk.js'
import { openTreeIndex } from '../../indexes/open-tree-index.js'
import { PluginDirectories } from './plugin-directories.js'
import type { StoreSources } from '../../stores/store-sources.js'
import { TreeFileContent } from './tree-file-content.js'

export interface NeededLibrariesOptions {
  /**
   * Of larger libraries, only the bytes that loading reads are fetched. Default 2 MiB, which is how
   * far the kernel reads ahead: it asks for nearly all of a smaller library anyway.
   */
  readonly maxWholeBytes?: number
}

export interface NeededLibrariesModules {
  readonly registry: TreeRegistry
  readonly content: ContentStore
  readonly sources: StoreSources
  readonly log: Log
}

/** Walks under way at once. Beyond this, no libraries are fetched ahead. */
const MAX_WALKS = 8
const DEFAULT_MAX_WHOLE_BYTES = 2 * 1024 * 1024
/**
 * Number of claims that are remembered. A library whose claim is forgotten may be fetched again.
 */
const MAX_CLAIMS = 8192

export class NeededLibraries {
  readonly #maxWholeBytes: number
  readonly #modules: NeededLibrariesModules
  /** Claims by slot and inode number, or by slot and name. */
  readonly #claims = new LRUCache<string, true>({ max: MAX_CLAIMS })
  readonly #plugins = new PluginDirectories()
  readonly #running = new Map<Promise<void>, { slot: number; abort: AbortController }>()

  constructor(options: NeededLibrariesOptions, modules: NeededLibrariesModules) {
    this.#maxWholeBytes = options.maxWholeBytes ?? DEFAULT_MAX_WHOLE_BYTES
    this.#modules = modules
  }

  /**
   * Called when a program has waited for `head`, the first bytes of a file. Returns at once. Never
   * throws.
   */
  onHead({ slot, ino }: { slot: number; ino: number }, head: Uint8Array): void {
    if (!isElf(head) || this.#running.size >= MAX_WALKS || !this.#claim(slot, ino)) return
    const abort = new AbortController()
    const following = this.#follow(slot, ino, abort.signal).finally(() => {
      this.#running.delete(following)
    })
    this.#running.set(following, { slot, abort })
  }

  /** Aborts the walks of trees that were removed. */
  cancel(slots: readonly number[]): void {
    for (const { slot, abort } of this.#running.values()) if (slots.includes(slot)) abort.abort()
  }

  /** Resolves when the walks that are now under way have ended. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.keys())
  }

  /** Aborts all walks. Idempotent. */
  async close(): Promise<void> {
    for (const { abort } of this.#running.values()) abort.abort()
    await this.settled()
  }

  async #follow(slot: number, ino: number, signal: AbortSignal): Promise<void> {
    const { content, log, registry, sources } = this.#modules
    try {
      const tree = registry.bySlot(slot)
      if (tree === undefined) return
      const index = openTreeIndex(registry, tree.indexDigest)
      try {
        const source = sources.for(tree.stores)
        const files = new TreeFileContent({ index, content, source }, signal)
        await this.#fetchAhead(slot, ino, { index, files })
      } finally {
        index.close()
      }
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error, slot, ino }, 'libraries are not fetched ahead')
    }
  }

  async #fetchAhead(slot: number, ino: number, modules: LibraryWalkModules): Promise<void> {
    const { index } = modules
    const inode = index.inode(ino)
    if (inode === undefined) return
    const path = pathOf(index, ino)
    const claim: ClaimLibrary = (library) => this.#claim(slot, library)
    const waited = { slot, ino, path }
    const plugins = this.#plugins.waited(waited, { index, claim })
    const walk = (first: readonly Library[], isCertain: boolean): Promise<void> => {
      const options = { maxWholeBytes: this.#maxWholeBytes, isCertain, claim }
      return new LibraryWalk(options, modules).run(first)
    }
    const walks = await Promise.allSettled([walk([{ inode, path }], true), walk(plugins, false)])
    const failed = walks.find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  /** See `ClaimLibrary`. */
  #claim(slot: number, library: number | string): boolean {
    const key = `${slot} ${library}`
    if (this.#claims.get(key) === true) return false
    this.#claims.set(key, true)
    return true
  }
}
