/** Reads and prefetches files of one tree by inode, for parts of the daemon that are no FUSE server. */
import type { BlobSource, ContentStore } from '../../fusefs/index.js'
import {
  type Extent,
  frameIndexAt,
  type Index,
  type Inode,
  type PackTable,
} from '../../index-format/index.js'
import type { FileRun, ReadAt } from '../guess/elf-file.js'
import { readRun } from '../guess/read-run.js'

export interface TreeFileContentModules {
  /** Stays the caller's; open as long as this is used. */
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

  /** Waits for what is not here; its promises reject with what `ContentStore.read` throws. */
  readerOf({ ino, sizeBytes }: Inode): ReadAt {
    const { content, source } = this.#modules
    return async (offset, length) => {
      const end = Math.min(offset + length, sizeBytes)
      if (end <= offset) return new Uint8Array(0)
      return readRun(this, { ino, offset, length: end - offset }, (pack, rawOffset, target) =>
        content.read({ pack, rawOffset, target, source }, this.#signal),
      )
    }
  }

  /** Brings a run of a file into the cache. Throws what `ContentStore.prefetch` throws. */
  async prefetch(ino: number, run: FileRun): Promise<void> {
    const { content, source } = this.#modules
    const end = run.offset + run.sizeBytes
    const fetching = this.extents(ino).map(async (extent) => {
      const from = Math.max(run.offset, extent.offset)
      const to = Math.min(end, extent.offset + extent.length)
      if (from >= to) return
      const pack = this.packTable(extent.pack)
      const shift = extent.rawOffset - extent.offset
      const first = frameIndexAt(pack, from + shift)
      const count = frameIndexAt(pack, to - 1 + shift) - first + 1
      await content.prefetch({ pack, frames: { first, count }, source }, this.#signal)
    })
    const failed = (await Promise.allSettled(fetching)).find((one) => one.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }
}
