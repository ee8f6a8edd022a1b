/**
 * Completes images, so that they no longer need their stores. When no read has waited for a store
 * for a while, the missing content of this node's trees is fetched, pack by pack in large ranges.
 * The content of the cache is the only record of progress: a restarted daemon continues from there.
 * Completion evicts nothing. An image that does not fit into the cache stays incomplete, and the
 * log says so.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ContentStore, Log, TreeRecord, TreeRegistry } from '../../../fusefs/index.js'
import { Index, type PackTable } from '../../../index-format/index.js'
import type { PartialIndexes } from '../../indexes/partial-indexes.js'
import type { BackgroundStatus } from '../admin/daemon-status.js'
import type { StoreSources } from '../../stores/store-sources.js'

export interface BackgroundCompleterOptions {
  readonly complete: 'none' | 'all'
  /** Completion runs only when no read has waited for a store for this long. */
  readonly quietMs: number
  /** Uncompressed bytes that the cache may hold. */
  readonly maxBytes: number
}

export interface BackgroundCompleterModules {
  readonly content: ContentStore
  readonly sources: StoreSources
  readonly registry: TreeRegistry
  readonly partialIndexes: PartialIndexes
  /** Whether a start is being prefetched. Its prefetch counts as a read that waits. */
  readonly isStarting: () => boolean
  readonly log: Log
}

/** The longest pause between two looks for a tree to complete. */
const MAX_POLL_MS = 1_000
/** A tree whose store fails is tried again after this long. */
const RETRY_MS = 5 * 60_000

type Outcome = 'complete' | 'no-room' | 'failed'

export class BackgroundCompleter {
  readonly #options: BackgroundCompleterOptions
  readonly #modules: BackgroundCompleterModules
  readonly #abort = new AbortController()
  readonly #outcomes = new Map<number, { outcome: Outcome; atMs: number }>()
  readonly #running: Promise<void>
  #current: { slot: number; abort: AbortController } | undefined
  #isPaused = false
  #lastMisses = 0
  #lastMissMs = performance.now()

  private constructor(options: BackgroundCompleterOptions, modules: BackgroundCompleterModules) {
    this.#options = options
    this.#modules = modules
    this.#running = options.complete === 'all' ? this.#run() : Promise.resolve()
  }

  /** Begins after the first `quietMs` without misses. The caller closes it. */
  static start(
    options: BackgroundCompleterOptions,
    modules: BackgroundCompleterModules,
  ): BackgroundCompleter {
    return new BackgroundCompleter(options, modules)
  }

  status(): BackgroundStatus {
    const outcomes = [...this.#outcomes.values()]
    const count = (which: Outcome): number =>
      outcomes.filter(({ outcome }) => outcome === which).length
    return {
      state: this.#state(),
      completeTrees: count('complete'),
      treesWithoutRoom: count('no-room'),
      failedTrees: count('failed'),
    }
  }

  /** Aborts the current fetch. A restarted daemon is not paused. */
  pause(): void {
    this.#isPaused = true
    this.#current?.abort.abort()
  }

  resume(): void {
    this.#isPaused = false
  }

  /** Forgets trees that were removed, and aborts their fetches. */
  cancel(slots: readonly number[]): void {
    for (const slot of slots) {
      this.#outcomes.delete(slot)
      if (this.#current?.slot === slot) this.#current.abort.abort()
    }
    // The cache may now have room for trees that did not fit before.
    for (const [slot, { outcome }] of this.#outcomes) {
      if (outcome === 'no-room') this.#outcomes.delete(slot)
    }
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#abort.abort()
    this.#current?.abort.abort()
    await this.#running
  }

  #state(): BackgroundStatus['state'] {
    if (this.#options.complete === 'none') return 'off'
    if (this.#isPaused) return 'paused'
    if (this.#current !== undefined) return 'running'
    return this.#next() === undefined ? 'done' : 'waiting'
  }

  async #run(): Promise<void> {
    const pollMs = Math.max(20, Math.min(MAX_POLL_MS, this.#options.quietMs))
    while (!this.#abort.signal.aborted) {
      const tree = this.#isPaused || !this.#isQuiet() ? undefined : this.#next()
      if (tree !== undefined) await this.#completeTree(tree)
      try {
        await sleep(pollMs, undefined, { signal: this.#abort.signal, ref: false })
      } catch {
        return
      }
    }
  }

  /** A tree without an outcome, or one that failed more than RETRY_MS ago. */
  #next(): TreeRecord | undefined {
    const nowMs = performance.now()
    return this.#modules.registry.list().find(({ slot }) => {
      const known = this.#outcomes.get(slot)
      if (known === undefined) return true
      return known.outcome === 'failed' && nowMs - known.atMs > RETRY_MS
    })
  }

  #isQuiet(): boolean {
    const { content, isStarting } = this.#modules
    const nowMs = performance.now()
    const { misses } = content.stats
    if (misses !== this.#lastMisses || isStarting()) this.#lastMissMs = nowMs
    this.#lastMisses = misses
    return nowMs - this.#lastMissMs >= this.#options.quietMs
  }

  async #completeTree(tree: TreeRecord): Promise<void> {
    const { log } = this.#modules
    const abort = new AbortController()
    this.#current = { slot: tree.slot, abort }
    let outcome: Outcome | undefined
    try {
      outcome = await this.#fetchPacks(tree, abort.signal)
      if (outcome === 'complete') log.info({ tree: tree.name }, 'an image is complete')
    } catch (error) {
      if (!abort.signal.aborted) {
        outcome = 'failed'
        log.warn({ err: error, tree: tree.name }, 'an image cannot be completed now')
      }
    } finally {
      this.#current = undefined
    }
    if (outcome === undefined || abort.signal.aborted) return
    this.#outcomes.set(tree.slot, { outcome, atMs: performance.now() })
  }

  async #fetchPacks(tree: TreeRecord, signal: AbortSignal): Promise<Outcome | undefined> {
    const { content, partialIndexes, registry, sources } = this.#modules
    const source = sources.for(tree.stores)
    await partialIndexes.complete(tree.indexDigest, signal)
    const index = Index.open(registry.indexPath(tree.indexDigest))
    try {
      for (const { key } of index.packs()) {
        const pack = index.packTable(key)
        if (!this.#hasRoom(tree, pack)) return 'no-room'
        const frames = { first: 0, count: pack.frames.length }
        await content.prefetch({ pack, frames, source, priority: 'background' }, signal)
        if (content.load().diskRefuses) return 'failed'
        // Reads that began meanwhile need the network. The tree is taken up again later.
        if (!this.#isQuiet()) return undefined
      }
      return 'complete'
    } finally {
      index.close()
    }
  }

  #hasRoom(tree: TreeRecord, pack: PackTable): boolean {
    const { content, log } = this.#modules
    const maxBytes = this.#options.maxBytes - content.outsideBytes
    const present = content
      .packs()
      .filter(({ digest }) => digest === pack.digest)
      .reduce((most, { presentBytes }) => Math.max(most, presentBytes), 0)
    const usageBytes = content.usageBytes()
    const missingBytes = Math.max(0, pack.rawSizeBytes - present)
    if (usageBytes + missingBytes <= maxBytes) return true
    log.warn(
      { tree: tree.name, usageBytes, missingBytes, maxBytes },
      'an image is not completed: the cache has no room for it (cache.size)',
    )
    return false
  }
}
