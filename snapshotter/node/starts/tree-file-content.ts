/** Reads and prefetches files of one tree by inode, without FUSE. */
import type { BlobSource, ContentStore } from '../../../fusefs/index.js'
import {
  type Extent,
  extentsWithin,
  frameIndexAt,
  type Index,
  type Inode,
  type PackTable,
  readFileRun,
} from '../../../index-format/index.js'
import type { FileRun, ReadAt } from '../../trees/elf-file.js'

export interface TreeFileContentModules {
  /** The caller closes it, after the last call. */
  readonly index: Index
  readonly content: ContentStore
  readonly source: BlobSource
}

export class TreeFileContent {
  readonly #modules: TreeFileContentModules
  readonly #signal: AbortSignal
  readonly #tables = new Map<number, PackTable>()

  constructor(modules: TreeFileContentModules, signal: AbortSignal) {
    this.#modules = modules
    this.#signal = signal
  }

  extents(ino: number): readonly Extent[] {
    return this.#modules.index.extents(ino)
  }

  packTable(pack: number): PackTable {
    const known = this.#tables.get(pack)
    if (known !== undefined) return known
    const table = this.#modules.index.packTable(pack)
    this.#tables.set(pack, table)
    return table
  }

  /**
   * A function that reads the file. It waits for bytes that are not on this node. Its promises
   * reject with what `ContentStore.read` throws.
   */
  readerOf({ ino, sizeBytes }: Inode): ReadAt {
    const { content, source } = this.#modules
    return async (offset, length) => {
      const end = Math.min(offset + length, sizeBytes)
      if (end <= offset) return new Uint8Array(0)
      return readFileRun(this, { ino, offset, length: end - offset }, (pack, rawOffset, target) =>
        content.read({ pack, rawOffset, target, source }, this.#signal),
      )
    }
  }

  /** Fetches a run of a file into the cache. Never rejects: a later read reports the error. */
  async prefetch({ ino }: Inode, run: FileRun): Promise<void> {
    try {
      const parts = extentsWithin(this.extents(ino), run.offset, run.sizeBytes)
      await Promise.allSettled([...parts].map((part) => this.#prefetchPart(part)))
    } catch {
      // The index is damaged. A read of the file will report it.
    }
  }

  async #prefetchPart({ pack: key, rawOffset, length }: Extent): Promise<void> {
    const { content, source } = this.#modules
    const pack = this.packTable(key)
    const first = frameIndexAt(pack, rawOffset)
    const count = frameIndexAt(pack, rawOffset + length - 1) - first + 1
    await content.prefetch({ pack, frames: { first, count }, source }, this.#signal)
  }
}

/** The run that is the whole file. */
export function wholeOf({ sizeBytes }: Inode): FileRun {
  return { offset: 0, sizeBytes }
}
