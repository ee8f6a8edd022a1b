/**
 * Learns starts that no source knows. From the first READ of a tree on, it notes all READs, until
 * there was none for a while or the period is over. It changes nothing: pages stay in the page
 * cache, and the kernel reads ahead as always. So the learned profile holds the pages that the
 * kernel asked for. A start without page cache asks for the same pages again.
 */
import type { ReadListener, TreeClass, TreeRecord } from '../../../fusefs/index.js'
import { AccessOrder, type Profile } from '../../../index-format/index.js'

export interface StartLearnerOptions {
  /** Longest time from the first READ on. Later READs are no part of the start. */
  readonly periodMs: number
  /** The start is over when there was no READ for this long. Default 5,000. */
  readonly quietMs?: number
}

export interface StartLearnerModules {
  /** The server of a class of trees. */
  readonly serverOf: (treeClass: TreeClass) => {
    recordReads(slot: number, listener: ReadListener): () => void
  }
  /** Takes the profile that was learned of a tree. Must not throw. */
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

/** Trees that are watched at a time. Further trees are not learned. */
const MAX_WATCHES = 1024
/** The start is over when this much was read. */
const MAX_LEARNED_BYTES = 256 * 1024 * 1024
const DEFAULT_QUIET_MS = 5_000
/** Checks per `quietMs` whether a start is over. */
const LOOKS = 5

export class StartLearner {
  readonly #options: Required<StartLearnerOptions>
  readonly #modules: StartLearnerModules
  readonly #watches = new Map<number, Watch>()

  constructor(options: StartLearnerOptions, modules: StartLearnerModules) {
    this.#options = { quietMs: DEFAULT_QUIET_MS, ...options }
    this.#modules = modules
  }

  /** Learns the tree's next start. Does nothing for a tree that is watched already. */
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

  /** Discards the READs of a tree: it is being recorded, or its start has become known. */
  drop(slot: number): void {
    this.#end(slot)
  }

  /**
   * Ends watching a tree. Its READs so far are its start. Called when the tree or the daemon ends.
   */
  finish(slot: number): void {
    const watch = this.#end(slot)
    if (watch === undefined || watch.readBytes === 0) return
    const { tree, order } = watch
    this.#modules.onLearned({ index: tree.indexDigest, commands: [], ranges: order.ranges() })
  }

  /** Finishes all trees. Idempotent. */
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
