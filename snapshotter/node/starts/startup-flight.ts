/**
 * Brings the start of one image in: what the plan names into the local cache, in few requests, and
 * what has arrived into the kernel's page cache, so that the program's reads need neither. Bytes are
 * put there only where the tree's own index, and not the plan alone, says that they belong: a tree
 * may be shared with an image whose plan lies.
 */
import type {
  BlobSource,
  ContentStore,
  KernelCache,
  Log,
  TreeRecord,
} from '../../../fusefs/index.js'
import type { Index, PackTable } from '../../../index-format/index.js'
import type { FlightPlaces, FlightPlan } from './flight-plan.js'
import { KnownInodes } from './known-inodes.js'

export interface StartupFlightOptions {
  /** Called once, at once. */
  readonly readPlan: () => FlightPlan | Promise<FlightPlan>
  readonly source: BlobSource
}

/** Where what arrives is to be put, once that is known. */
export interface StartupTarget {
  readonly tree: TreeRecord
  /** The tree's directory. */
  readonly directory: string
  readonly openIndex: () => Index
  readonly kernelCache: KernelCache
}

export interface StartupFlightModules {
  readonly content: ContentStore
  readonly log: Log
}

/** Frames that are on their way into the kernel at a time. */
const MAX_STORING = 4

/** A frame that is here: which pack of the plan, which frame of it. */
type Arrival = readonly [pack: number, frame: number]

export class StartupFlight {
  /** Resolves when everything is done or has been given up. Never rejects. */
  readonly done: Promise<void>
  readonly #options: StartupFlightOptions
  readonly #modules: StartupFlightModules
  readonly #abort = new AbortController()
  readonly #arrivals: Arrival[] = []
  readonly #spare: ArrayBuffer[] = []
  readonly #target: Promise<StartupTarget | undefined>
  #setTarget: (target: StartupTarget | undefined) => void = () => undefined
  #wake: () => void = () => undefined
  #isFetched = false

  /** Starts to fetch at once. */
  constructor(options: StartupFlightOptions, modules: StartupFlightModules) {
    this.#options = options
    this.#modules = modules
    this.#target = new Promise((resolve) => {
      this.#setTarget = resolve
    })
    this.done = this.#run()
  }

  /** The tree is registered: from now on its pages can be filled. */
  land(target: StartupTarget): void {
    this.#setTarget(target)
  }

  /** Gives up what is not here yet. Idempotent. */
  cancel(): void {
    this.#abort.abort()
    this.#setTarget(undefined)
    this.#wake()
  }

  async #run(): Promise<void> {
    const { log } = this.#modules
    const startedMs = performance.now()
    try {
      const plan = await this.#options.readPlan()
      const storing = this.#storeArrivals(plan)
      // It is waited for below, unless fetching fails first.
      storing.catch(() => undefined)
      try {
        await this.#fetch(plan)
      } finally {
        this.#isFetched = true
        this.#wake()
      }
      const fetchedMs = Math.round(performance.now() - startedMs)
      const storedBytes = await storing
      const storedMs = Math.round(performance.now() - startedMs)
      const { origin, rawBytes } = plan
      const facts = { origin, rawBytes, fetchedMs, storedBytes, storedMs }
      log.info(facts, 'the start of an image is here')
    } catch (error) {
      if (this.#abort.signal.aborted) return
      log.warn(
        { err: error },
        'the start of an image cannot be fetched ahead: it is read as needed',
      )
    }
  }

  async #fetch(plan: FlightPlan): Promise<void> {
    for (const step of plan.steps) {
      const fetched = await Promise.allSettled(
        step.map(({ pack: at, first, count }) => this.#fetchFrames(plan, at, { first, count })),
      )
      const failed = fetched.find((one) => one.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    }
  }

  async #fetchFrames(
    plan: FlightPlan,
    at: number,
    frames: { first: number; count: number },
  ): Promise<void> {
    const pack = plan.packs[at]
    if (pack === undefined) return
    const { source } = this.#options
    const onFrame = (frame: number): void => {
      this.#arrivals.push([at, frame])
      this.#wake()
    }
    await this.#modules.content.prefetch({ pack, frames, source, onFrame }, this.#abort.signal)
  }

  /** How many bytes the kernel has taken. */
  async #storeArrivals(plan: FlightPlan): Promise<number> {
    const target = await this.#target
    if (target === undefined) return 0
    // Not in the turn in which the tree is registered: containerd waits for the answer to its Commit.
    await new Promise((resolve) => setImmediate(resolve))
    const index = target.openIndex()
    const inodes = new KnownInodes(plan, index, target)
    const allMet = inodes.meetAll(this.#abort.signal)
    const storing: Promise<number>[] = []
    let storedBytes = 0
    try {
      const places = plan.placesIn(index)
      for (let next = 0; !this.#abort.signal.aborted; next++) {
        while (next >= this.#arrivals.length && !this.#isFetched) await this.#more()
        const arrival = this.#arrivals[next]
        if (arrival === undefined) break
        storing.push(this.#storeFrame(arrival, { plan, places, inodes, target }))
        if (storing.length === MAX_STORING) storedBytes += (await storing.shift()) ?? 0
      }
      for (const storedOfFrame of await Promise.all(storing)) storedBytes += storedOfFrame
      return storedBytes
    } finally {
      await Promise.allSettled([allMet, ...storing])
      index.close()
    }
  }

  async #storeFrame(
    [packAt, frameAt]: Arrival,
    to: { plan: FlightPlan; places: FlightPlaces; inodes: KnownInodes; target: StartupTarget },
  ): Promise<number> {
    const pack = to.plan.packs[packAt]
    const frame = pack?.frames[frameAt]
    if (pack === undefined || frame === undefined) return 0
    const parts = to.places.partsOf(packAt, frameAt)
    if (parts.length === 0) return 0
    to.inodes.meet(parts.map(({ ino }) => ino))
    // What was decoded a moment ago is still in memory.
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

  /** What has come back is used again: buffers that are thrown away stay until V8 looks for them. */
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
