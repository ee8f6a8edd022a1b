/**
 * Brings in the libraries that a library needs as soon as a program waits for its first bytes: what it needs is
 * written in it, and the dynamic loader is about to open one after the other, to the last of them, before the program
 * goes on. Plugins, modules of interpreters and programs that nobody guessed come in that way, without anybody
 * having recorded them. Nobody waits for this, and what goes wrong in it only leaves things as slow as they were.
 */
import { LRUCache } from 'lru-cache'
import type { ContentStore, Log, TreeRecord, TreeRegistry } from '../../fusefs/index.js'
import type { Index, Inode } from '../../index-format/index.js'
import { type ElfNeeds, type FileRun, isElf, readElfNeeds } from '../guess/elf-file.js'
import { librariesOf } from '../guess/library-search.js'
import { openTreeIndex } from './open-tree-index.js'
import type { StoreSources } from './store-sources.js'
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

/** A library, and where it was found: undefined for the one that a program waited for. */
interface Library {
  readonly inode: Inode
  readonly path: string | undefined
}

/** Libraries whose needs are being looked at, each with those that it draws in. */
const MAX_FOLLOWED = 8
const DEFAULT_MAX_WHOLE_BYTES = 2 * 1024 * 1024
/** What one library draws in, uncompressed; what is beyond is read as needed. */
const MAX_DRAWN_BYTES = 64 * 1024 * 1024
const MAX_DRAWN_FILES = 256
/** Libraries that are not looked at again. */
const MAX_SEEN = 8192

export class NeededLibraries {
  readonly #maxWholeBytes: number
  readonly #modules: NeededLibrariesModules
  /** By slot and inode. */
  readonly #seen = new LRUCache<string, true>({ max: MAX_SEEN })
  readonly #running = new Map<Promise<void>, { slot: number; abort: AbortController }>()

  constructor(options: NeededLibrariesOptions, modules: NeededLibrariesModules) {
    this.#maxWholeBytes = options.maxWholeBytes ?? DEFAULT_MAX_WHOLE_BYTES
    this.#modules = modules
  }

  /** A program has waited for the first bytes of a file. Returns at once, never throws. */
  onHead({ slot, ino }: { slot: number; ino: number }, head: Uint8Array): void {
    if (!isElf(head) || this.#running.size >= MAX_FOLLOWED || this.#isSeen(slot, ino)) return
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
        const inode = index.inode(ino)
        const source = sources.for(tree.stores)
        const files = new TreeFileContent({ index, content, source }, signal)
        if (inode !== undefined)
          await this.#draw({ inode, path: undefined }, { tree, index, files })
      } finally {
        index.close()
      }
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error, slot, ino }, 'libraries are not fetched ahead')
    }
  }

  /** Level by level, as the dynamic loader does. */
  async #draw(
    first: Library,
    from: { tree: TreeRecord; index: Index; files: TreeFileContent },
  ): Promise<void> {
    const { tree, index, files } = from
    const fetching: Promise<void>[] = []
    let drawnBytes = 0
    let drawnFiles = 0
    const fetch = ({ inode }: Library, runs: readonly FileRun[]): void => {
      for (const run of runs) {
        drawnBytes += run.sizeBytes
        if (drawnBytes <= MAX_DRAWN_BYTES) fetching.push(files.prefetch(inode.ino, run))
      }
    }
    const needsOf = async (library: Library): Promise<ElfNeeds | undefined> => {
      const { inode } = library
      const isWhole = inode.sizeBytes <= this.#maxWholeBytes
      const whole = [{ offset: 0, sizeBytes: inode.sizeBytes }]
      if (isWhole) fetch(library, whole)
      const needs = await readElfNeeds(files.readerOf(inode))
      if (!isWhole && needs !== undefined) fetch(library, needs.loaded)
      return needs
    }
    try {
      let level = [first]
      while (level.length > 0) {
        const needs = await Promise.all(level.map(needsOf))
        const next: Library[] = []
        for (const [at, { path }] of level.entries()) {
          const needed = needs[at]
          if (needed === undefined) continue
          for (const library of librariesOf(index, needed, path)) {
            if (++drawnFiles > MAX_DRAWN_FILES) break
            if (!this.#isSeen(tree.slot, library.inode.ino)) next.push(library)
          }
        }
        level = next
      }
    } finally {
      await Promise.allSettled(fetching)
    }
  }

  /** Whether it was seen before; it is from now on. */
  #isSeen(slot: number, ino: number): boolean {
    const key = `${slot} ${ino}`
    if (this.#seen.get(key) === true) return true
    this.#seen.set(key, true)
    return false
  }
}
