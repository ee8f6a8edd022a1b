/** From one library to all that it needs, level by level, as the dynamic loader goes; fetches them on the way. */
import type { Index, Inode } from '../../../index-format/index.js'
import { type ElfNeeds, type FileRun, readElfNeeds } from '../../trees/elf-file.js'
import { librariesOf } from '../../trees/library-search.js'
import { type TreeFileContent, wholeOf } from './tree-file-content.js'

/**
 * Claims a library for one walk: by its inode, or by its name where it was searched in the usual
 * folders, because most libraries need the same few. True for the first claim of the tree only.
 */
export type ClaimLibrary = (library: number | string) => boolean

export interface LibraryWalkOptions {
  /** Libraries that are larger are not taken whole. */
  readonly maxWholeBytes: number
  /**
   * Whether all of them are about to be opened: then what loading reads of larger ones is fetched, too, and heads are read
   * as if a program waited for them. Otherwise larger ones are left out, with what they need, and nothing is hurried.
   */
  readonly isCertain: boolean
  readonly claim: ClaimLibrary
}

export interface LibraryWalkModules {
  /** Stays the caller's; open until the walk has ended. */
  readonly index: Index
  readonly files: TreeFileContent
}

/** A library, and where it was found: undefined where its name is not known. */
export interface Library {
  readonly inode: Inode
  readonly path: string | undefined
}

/** What one walk fetches, uncompressed; what is beyond is read as needed. */
const MAX_WALK_BYTES = 64 * 1024 * 1024
const MAX_WALK_FILES = 256

export class LibraryWalk {
  readonly #options: LibraryWalkOptions
  readonly #modules: LibraryWalkModules
  readonly #fetching: Promise<void>[] = []
  #bytes = 0
  #files = 0

  constructor(options: LibraryWalkOptions, modules: LibraryWalkModules) {
    this.#options = options
    this.#modules = modules
  }

  /** Resolves when all is here, or was given up. Throws what reading a library's head throws. */
  async run(first: readonly Library[]): Promise<void> {
    try {
      for (let level = first; level.length > 0;) {
        const needs = await Promise.all(level.map((library) => this.#needsOf(library)))
        level = level.flatMap((library, at) => this.#next(library, needs[at]))
      }
    } finally {
      await Promise.all(this.#fetching)
    }
  }

  async #needsOf({ inode }: Library): Promise<ElfNeeds | undefined> {
    const { maxWholeBytes, isCertain } = this.#options
    const isWhole = inode.sizeBytes <= maxWholeBytes
    if (!isWhole && !isCertain) return undefined
    const fetching = isWhole ? this.#fetch(inode, [wholeOf(inode)]) : undefined
    if (!isCertain) await fetching
    const needs = await readElfNeeds(this.#modules.files.readerOf(inode))
    if (!isWhole && needs !== undefined) void this.#fetch(inode, needs.loaded)
    return needs
  }

  #next({ path }: Library, needs: ElfNeeds | undefined): Library[] {
    if (needs === undefined) return []
    const { claim } = this.#options
    const isUsual = needs.runPath.length === 0
    const needed = isUsual ? needs.needed.filter((name) => claim(name)) : needs.needed
    return librariesOf(this.#modules.index, { ...needs, needed }, path).filter(({ inode }) => {
      return claim(inode.ino) && ++this.#files <= MAX_WALK_FILES
    })
  }

  async #fetch(inode: Inode, runs: readonly FileRun[]): Promise<void> {
    const { files } = this.#modules
    const fetching = runs.flatMap((run) => {
      this.#bytes += run.sizeBytes
      return this.#bytes > MAX_WALK_BYTES ? [] : [files.prefetch(inode, run)]
    })
    this.#fetching.push(...fetching)
    await Promise.all(fetching)
  }
}
