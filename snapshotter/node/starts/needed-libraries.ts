/**
 * Brings in the libraries that a library needs as soon as a program waits for its first bytes: what it needs is
 * written in it, and the dynamic loader is about to open one after the other, to the last of them, before the program
 * goes on. Plugins, modules of interpreters and programs that nobody guessed come in that way, without anybody
 * having recorded them. Nobody waits for this, and what goes wrong in it only leaves things as slow as they were.
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
   * Larger libraries are not taken whole, but only what loading reads of them. Default 2 MiB: of smaller ones the kernel,
   * which reads ahead as far as that, asks for nearly all anyway.
   */
  readonly maxWholeBytes?: number
}

export interface NeededLibrariesModules {
  readonly registry: TreeRegistry
  readonly content: ContentStore
  readonly sources: StoreSources
  readonly log: Log
}

/** Walks under way; beyond these a library is read as it comes. */
const MAX_WALKS = 8
const DEFAULT_MAX_WHOLE_BYTES = 2 * 1024 * 1024
/** Claims that are remembered. A library whose claim is forgotten may be fetched again. */
const MAX_CLAIMS = 8192

export class NeededLibraries {
  readonly #maxWholeBytes: number
  readonly #modules: NeededLibrariesModules
  /** By slot and inode, or slot and name. */
  readonly #claims = new LRUCache<string, true>({ max: MAX_CLAIMS })
  readonly #plugins = new PluginDirectories()
  readonly #running = new Map<Promise<void>, { slot: number; abort: AbortController }>()

  constructor(options: NeededLibrariesOptions, modules: NeededLibrariesModules) {
    this.#maxWholeBytes = options.maxWholeBytes ?? DEFAULT_MAX_WHOLE_BYTES
    this.#modules = modules
  }

  /** A program has waited for the first bytes of a file. Returns at once, never throws. */
  onHead({ slot, ino }: { slot: number; ino: number }, head: Uint8Array): void {
    if (!isElf(head) || this.#running.size >= MAX_WALKS || !this.#claim(slot, ino)) return
    const abort = new AbortController()
    const following = this.#follow(slot, ino, abort.signal).finally(() => {
      this.#running.delete(following)
    })
    this.#running.set(following, { slot, abort })
  }

  /** These trees are gone. */
  cancel(slots: readonly number[]): void {
    for (const { slot, abort } of this.#running.values()) if (slots.includes(slot)) abort.abort()
  }

  /** Resolves once nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.keys())
  }

  /** Gives up everything under way. Idempotent. */
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
