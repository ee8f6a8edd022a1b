/**
 * The prefetch of one start. It fetches the plan's frames into the local cache, in few requests,
 * and stores them in the kernel's page cache as they arrive. The program's reads then need neither
 * the network nor the daemon. A page is stored only if the tree's own index says that its bytes are
 * right. Images with the same tree share it, and the plan of one of them may be wrong on purpose.
 */
import type {
  BlobSource,
  ContentStore,
  KernelCache,
  Log,
  TreeRecord,
} from '../../../fusefs/index.js'
import type { Index, PackTable } from '../../../index-format/index.js'
import { KernelLookups } from './kernel-lookups.js'
import type { FramePlaces, PrefetchPlan, Start } from './start.js'

/** The tree whose pages are filled. */
export interface PrefetchTarget {
  readonly tree: TreeRecord
  /** The tree's directory in its mount. */
  readonly directory: string
  readonly openIndex: () => Index
  readonly kernelCache: KernelCache
}

export interface StartPrefetchOptions {
  readonly start: Start
  readonly source: BlobSource
  /**
   * Resolves when the tree is registered and its mount may be used. A rejection ends the prefetch.
   */
  readonly target: Promise<PrefetchTarget>
}

export interface StartPrefetchModules {
  readonly content: ContentStore
  readonly log: Log
}

/** Frames that are being stored in the page cache at a time. */
const MAX_STORING = 4

/**
 * A frame that has been fetched: positions of its pack in the plan and of the frame in the pack.
 */
type FetchedFrame = readonly [pack: number, frame: number]

export class StartPrefetch {
  /** Resolves when everything is done or has been given up. Never rejects. */
  readonly done: Promise<void>
  readonly #options: StartPrefetchOptions
  readonly #modules: StartPrefetchModules
  readonly #abort = new AbortController()
  readonly #fetched: FetchedFrame[] = []
  readonly #spare: ArrayBuffer[] = []
  readonly #target: Promise<PrefetchTarget | undefined>
  #giveUpTarget: () => void = () => undefined
  #wake: () => void = () => undefined
  #isFetchEnded = false

  /** Begins at once. */
  constructor(options: StartPrefetchOptions, modules: StartPrefetchModules) {
    this.#options = options
    this.#modules = modules
    const givenUp = new Promise<undefined>((resolve) => {
      this.#giveUpTarget = () => {
        resolve(undefined)
      }
    })
    this.#target = Promise.race([options.target, givenUp]).catch(() => {
      this.cancel()
      return undefined
    })
    this.done = this.#run()
  }

  /** Gives up frames that have not arrived. Idempotent. */
  cancel(): void {
    this.#abort.abort()
    this.#giveUpTarget()
    this.#wake()
  }

  async #run(): Promise<void> {
    const { log } = this.#modules
    const { origin, readPlan } = this.#options.start
    const startedMs = performance.now()
    try {
      const plan = await readPlan()
      const storing = this.#storeFetched(plan)
      // It is awaited below, unless fetching fails first.
      storing.catch(() => undefined)
      try {
        await this.#fetch(plan)
      } finally {
        this.#isFetchEnded = true
        this.#wake()
      }
      const fetchedMs = Math.round(performance.now() - startedMs)
      const storedBytes = await storing
      const storedMs = Math.round(performance.now() - startedMs)
      const facts = { origin, rawBytes: plan.rawBytes, fetchedMs, storedBytes, storedMs }
      log.info(facts, 'the start of an image is here')
    } catch (error) {
      if (this.#abort.signal.aborted) return
      log.warn(
        { err: error },
        'the start of an image cannot be fetched ahead: it is read as needed',
      )
    }
  }

  async #fetch(plan: PrefetchPlan): Promise<void> {
    for (const step of plan.steps) {
      const fetches = await Promise.allSettled(
        step.map(({ pack: at, first, count }) => this.#fetchFrames(plan, at, { first, count })),
      )
      const failed = fetches.find((one) => one.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    }
  }

  async #fetchFrames(
    plan: PrefetchPlan,
    at: number,
    frames: { first: number; count: number },
  ): Promise<void> {
    const pack = plan.packs[at]
    if (pack === undefined) return
    const { source } = this.#options
    const onFrame = (frame: number): void => {
      this.#fetched.push([at, frame])
      this.#wake()
    }
    await this.#modules.content.prefetch({ pack, frames, source, onFrame }, this.#abort.signal)
  }

  /** Returns the number of bytes that the kernel has taken. */
  async #storeFetched(plan: PrefetchPlan): Promise<number> {
    const target = await this.#target
    if (target === undefined) return 0
    // The tree was registered in this turn of the event loop. Let the turn end first, because
    // containerd waits for the answer to Commit.
    await new Promise((resolve) => setImmediate(resolve))
    const index = target.openIndex()
    const lookups = new KernelLookups(plan, index, target)
    const allLookedUp = lookups.lookUpAll(this.#abort.signal)
    const storing: Promise<number>[] = []
    let storedBytes = 0
    try {
      const places = plan.placesIn(index)
      for (let next = 0; !this.#abort.signal.aborted; next++) {
        while (next >= this.#fetched.length && !this.#isFetchEnded) await this.#more()
        const frame = this.#fetched[next]
        if (frame === undefined) break
        storing.push(this.#storeFrame(frame, { plan, places, lookups, target }))
        if (storing.length === MAX_STORING) storedBytes += (await storing.shift()) ?? 0
      }
      for (const storedOfFrame of await Promise.all(storing)) storedBytes += storedOfFrame
      return storedBytes
    } finally {
      await Promise.allSettled([allLookedUp, ...storing])
      index.close()
    }
  }

  async #storeFrame(
    [packAt, frameAt]: FetchedFrame,
    to: {
      plan: PrefetchPlan
      places: FramePlaces
      lookups: KernelLookups
      target: PrefetchTarget
    },
  ): Promise<number> {
    const pack = to.plan.packs[packAt]
    const frame = pack?.frames[frameAt]
    if (pack === undefined || frame === undefined) return 0
    const parts = to.places.partsOf(packAt, frameAt)
    if (parts.length === 0) return 0
    to.lookups.lookUp(parts.map(({ ino }) => ino))
    // A frame that was decoded a moment ago is still in the memory tier.
    const raw = await this.#read(pack, frame.rawOffset, frame.rawSizeBytes)
    const { kernelCache, tree } = to.target
    const { storedBytes, bytes } = await kernelCache.store(tree.slot, raw, parts)
    if (bytes !== undefined) this.#spare.push(bytes.buffer)
    return storedBytes
  }

  async #read(
    pack: PackTable,
    rawOffset: number,
    sizeBytes: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const target = this.#buffer(sizeBytes)
    const { source } = this.#options
    await this.#modules.content.read({ pack, rawOffset, target, source }, this.#abort.signal)
    return target
  }

  /** Reuses returned buffers: V8 frees discarded ones only at its next major collection. */
  #buffer(sizeBytes: number): Uint8Array<ArrayBuffer> {
    const spare = this.#spare.pop()
    const buffer =
      spare !== undefined && spare.byteLength >= sizeBytes ? spare : new ArrayBuffer(sizeBytes)
    return new Uint8Array(buffer, 0, sizeBytes)
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }
}
