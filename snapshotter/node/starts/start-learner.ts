/**
 * Learns the first start of trees of which nobody knows it: writes down what their containers read
 * from the first READ on, until they have been quiet for a while or the period is over. It only looks on: pages
 * stay in the page cache and the kernel reads ahead as always, so that what is learned is what the
 * kernel asked for, which is what a start without page cache will ask for again.
 */
import type { ReadListener, TreeClass, TreeRecord } from '../../../fusefs/index.js'
import { AccessOrder, type Profile } from '../../../index-format/index.js'

export interface StartLearnerOptions {
  /** From the first READ; what comes later is no start. */
  readonly periodMs: number
  /** Without a READ for this long, the start is over. Default 5,000. */
  readonly quietMs?: number
}

export interface StartLearnerModules {
  /** The server of a class of trees. */
  readonly serverOf: (treeClass: TreeClass) => {
    recordReads(slot: number, listener: ReadListener): () => void
  }
  /** Takes what was learned of a tree. Must not throw. */
  readonly onLearned: (profile: Profile) => void
}

interface Watch {
  readonly tree: TreeRecord
  readonly order: AccessOrder
  readonly stop: () => void
  readBytes: number
  firstMs: number
  lastMs: number
  timer: NodeJS.Timeout | undefined
}

/** Trees watched at a time; further ones are not learned. */
const MAX_WATCHES = 1024
/** What is read beyond this is no start. */
const MAX_LEARNED_BYTES = 256 * 1024 * 1024
const DEFAULT_QUIET_MS = 5_000
/** How often it is looked whether a start is over, for each quiet time. */
const LOOKS = 5

export class StartLearner {
  readonly #options: Required<StartLearnerOptions>
  readonly #modules: StartLearnerModules
  readonly #watches = new Map<number, Watch>()

  constructor(options: StartLearnerOptions, modules: StartLearnerModules) {
    this.#options = { quietMs: DEFAULT_QUIET_MS, ...options }
    this.#modules = modules
  }

  /** Learns the tree's next start. A tree that is watched already goes on being so. */
  watch(tree: TreeRecord): void {
    if (this.#watches.has(tree.slot) || this.#watches.size >= MAX_WATCHES) return
    const listener: ReadListener = (ino, offset, sizeBytes) => {
      this.#note(watch, ino, offset, sizeBytes)
    }
    const stop = this.#modules.serverOf(tree.class).recordReads(tree.slot, listener)
    const order = new AccessOrder()
    const watch: Watch = {
      ...{ tree, order, stop, timer: undefined },
      ...{ readBytes: 0, firstMs: 0, lastMs: 0 },
    }
    this.#watches.set(tree.slot, watch)
  }

  /** Forgets what was read of a tree: somebody else records it, or knows its start. */
  drop(slot: number): void {
    this.#end(slot)
  }

  /** The tree goes, or we do: what was read up to now is its start. */
  finish(slot: number): void {
    const watch = this.#end(slot)
    if (watch === undefined || watch.readBytes === 0) return
    const { tree, order } = watch
    this.#modules.onLearned({ index: tree.indexDigest, commands: [], ranges: order.ranges() })
  }

  /** Finishes all. Idempotent. */
  close(): void {
    for (const slot of [...this.#watches.keys()]) this.finish(slot)
  }

  #note(watch: Watch, ino: number, offset: number, sizeBytes: number): void {
    if (this.#watches.get(watch.tree.slot) !== watch) return
    watch.lastMs = performance.now()
    if (watch.timer === undefined) {
      watch.firstMs = watch.lastMs
      watch.timer = setInterval(() => {
        this.#look(watch)
      }, this.#options.quietMs / LOOKS)
      watch.timer.unref()
    }
    if (watch.readBytes >= MAX_LEARNED_BYTES) return
    watch.readBytes += sizeBytes
    watch.order.add(ino, offset, sizeBytes)
  }

  #look(watch: Watch): void {
    const { periodMs, quietMs } = this.#options
    const now = performance.now()
    const isOver = now - watch.lastMs >= quietMs || now - watch.firstMs >= periodMs
    if (isOver || watch.readBytes >= MAX_LEARNED_BYTES) this.finish(watch.tree.slot)
  }

  #end(slot: number): Watch | undefined {
    const watch = this.#watches.get(slot)
    if (watch === undefined) return undefined
    this.#watches.delete(slot)
    clearInterval(watch.timer)
    watch.stop()
    return watch
  }
}
