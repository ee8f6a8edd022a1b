/**
 * Fetches libraries and all libraries that they need, level by level, in the order of the dynamic
 * loader.
 */
import type { Index, Inode } from '../../../index-format/index.js'
import { type ElfNeeds, type FileRun, readElfNeeds } from '../../trees/elf-file.js'
import { librariesOf } from '../../trees/library-search.js'
import { type TreeFileContent, wholeOf } from './tree-file-content.js'

/**
 * Claims a library, so that only one walk of a tree fetches it. Returns true for the first claim in
 * the tree only. A library is claimed by its inode number. A library that is looked for in the
 * usual folders is claimed by its name first: most libraries need the same few, and a refused claim
 * saves the search.
 */
export type ClaimLibrary = (library: number | string) => boolean

export interface LibraryWalkOptions {
  /** Larger libraries are not fetched whole. */
  readonly maxWholeBytes: number
  /**
   * True: the program is about to open all of the libraries. Of larger ones, the bytes that loading
   * reads are fetched, and heads are read at the priority of a program's read. False: larger
   * libraries are left out, with the libraries that they need, and everything is only prefetched.
   */
  readonly isCertain: boolean
  readonly claim: ClaimLibrary
}

export interface LibraryWalkModules {
  /** The caller closes it, after the walk has ended. */
  readonly index: Index
  readonly files: TreeFileContent
}

/** A library and its path, which is undefined where it is not known. */
export interface Library {
  readonly inode: Inode
  readonly path: string | undefined
}

/** Uncompressed bytes, and files, that one walk fetches at most. The rest is read as needed. */
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

  /**
   * Walks from the libraries `first`. Resolves when all of them were fetched or given up. Throws
   * what reading a library's head throws.
   */
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
