/**
 * The trees of one class in the registry. The most recently used indexes are kept open. Each thread
 * has its own instance. A counter in shared memory, `changes`, tells that the registry changed. The
 * records of open trees are then read again. Their indexes stay open, except partial ones.
 */
import { LRUCache } from 'lru-cache'
import { IndexFormatError } from '../../index-format/reading.js'
import { FusefsError } from '../errors.js'
import type { TreeIndex } from './tree-index.js'
import type { TreeClass, TreeRecord, TreeRegistry } from './tree-registry.js'
import type { OpenTree, TreeSource } from './tree-source.js'

/** Indexes open in each thread. Each costs two descriptors, 300 KiB, and 0.5 ms to open. */
const DEFAULT_MAX_OPEN_INDEXES = 16

interface CachedTree {
  record: TreeRecord
  readonly index: TreeIndex
  readonly isPartial: boolean
}

/** Opens an index file; see `IndexOptions.isPartial`. */
type OpenIndex = (path: string, isPartial: boolean) => TreeIndex

export interface RegisteredTreesOptions {
  readonly class: TreeClass
  /** Indexes kept open. Default 16. */
  readonly maxOpenIndexes?: number
  /**
   * Memory of an `Int32Array` of one element, incremented after each change of the registry.
   * Without it, changes of the registry are not noticed for trees that are open.
   */
  readonly changes?: SharedArrayBuffer
}

export class RegisteredTrees implements TreeSource {
  readonly #registry: TreeRegistry
  readonly #openIndex: OpenIndex
  readonly #forget: () => void
  readonly #class: TreeClass
  readonly #changes: Int32Array
  readonly #open: LRUCache<number, CachedTree>
  #seen: number

  /** Takes over `modules.registry`: `close` closes it and all indexes opened here. */
  constructor(
    options: RegisteredTreesOptions,
    modules: {
      registry: TreeRegistry
      openIndex: OpenIndex
      /** Called before each `open`. From then on, earlier answers of the indexes are not used. */
      forget?: () => void
    },
  ) {
    this.#class = options.class
    this.#changes = new Int32Array(options.changes ?? new SharedArrayBuffer(4))
    this.#seen = Atomics.load(this.#changes, 0)
    this.#registry = modules.registry
    this.#openIndex = modules.openIndex
    this.#forget = modules.forget ?? (() => undefined)
    this.#open = new LRUCache({
      max: options.maxOpenIndexes ?? DEFAULT_MAX_OPEN_INDEXES,
      dispose: (tree) => {
        tree.index.close()
      },
    })
  }

  open(slot: number): OpenTree | undefined {
    this.#forget()
    const now = Atomics.load(this.#changes, 0)
    if (now !== this.#seen) this.#refresh(now)
    const known = this.#open.get(slot)
    if (known !== undefined) return known
    const record = this.#registry.bySlot(slot)
    if (record?.class !== this.#class) return undefined
    const tree = { record, ...this.#openRecord(record) }
    this.#open.set(slot, tree)
    return tree
  }

  after(slot: number, limit: number): TreeRecord[] {
    return this.#registry.after(this.#class, slot, limit)
  }

  close(): void {
    this.#open.clear()
    this.#registry.close()
  }

  #openRecord(record: TreeRecord): { index: TreeIndex; isPartial: boolean } {
    const { path, isPartial } = this.#registry.indexFile(record.indexDigest)
    try {
      return { index: this.#openIndex(path, isPartial), isPartial }
    } catch (cause) {
      const message = `open index ${path} of tree ${record.name}`
      // A partial index is written without fsync, because the whole index soon replaces it. After a
      // power failure the file may be damaged, so wait for the whole index.
      if (isPartial) throw new IndexFormatError('incomplete-index', message, { cause })
      throw new FusefsError('tree-unavailable', message, { cause })
    }
  }

  #refresh(now: number): void {
    this.#seen = now
    for (const [slot, tree] of [...this.#open.entries()]) {
      const record = this.#registry.bySlot(slot)
      // Open the index again when it was partial: the whole index may have arrived.
      if (record === undefined || tree.isPartial) this.#open.delete(slot)
      else tree.record = record
    }
  }
}
