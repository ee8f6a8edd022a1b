/**
 * The trees of one class out of the registry, with the indexes that were used last held open. Each
 * thread has its own. That the registry changed shows in `changes`, a counter in shared memory: the
 * records of open trees are then read again; their indexes stay open, unless they are partial.
 */
import { LRUCache } from 'lru-cache'
import { IndexFormatError } from '../../index-format/reading.js'
import { FusefsError } from '../errors.js'
import type { TreeIndex } from './tree-index.js'
import type { TreeClass, TreeRecord, TreeRegistry } from './tree-registry.js'
import type { OpenTree, TreeSource } from './tree-source.js'

/** In every thread, an open index costs two descriptors and 300 KiB; opening one takes half a millisecond. */
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
  /** Default 16. */
  readonly maxOpenIndexes?: number
  /** `Int32Array` of one element, incremented after every change of the registry. */
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

  /** Closes `modules.registry`, and the indexes it opened, when it is closed. */
  constructor(
    options: RegisteredTreesOptions,
    modules: {
      registry: TreeRegistry
      openIndex: OpenIndex
      /** Called before each `open`: what indexes answered before is not looked at any more. */
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
      // Nobody syncs what is soon replaced: a power failure may have left something else.
      if (isPartial) throw new IndexFormatError('incomplete-index', message, { cause })
      throw new FusefsError('tree-unavailable', message, { cause })
    }
  }

  #refresh(now: number): void {
    this.#seen = now
    for (const [slot, tree] of [...this.#open.entries()]) {
      const record = this.#registry.bySlot(slot)
      // Of a partial index the whole may be here now.
      if (record === undefined || tree.isPartial) this.#open.delete(slot)
      else tree.record = record
    }
  }
}
