/**
 * Brings the start of one image in: the startup packs into the local cache, in one request each, and
 * what has arrived into the kernel's page cache, so that the program's reads need neither. Bytes are
 * put there only where the tree's own index, and not the plan alone, says that they belong: a tree
 * may be shared with an image whose plan lies.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import type { BlobSource, ContentStore, KernelCache, Log, TreeRecord } from '../../fusefs/index.js'
import {
  Index,
  type PackTable,
  type StartupPlan,
  startupPlanFromBytes,
  type StartupRef,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { StartupPlaces } from './startup-places.js'

export interface StartupFlightOptions {
  readonly ref: StartupRef
  /** The file with the plan. */
  readonly planPath: string
  readonly source: BlobSource
}

/** Where what arrives is to be put, once that is known. */
export interface StartupTarget {
  readonly tree: TreeRecord
  /** The tree's directory. */
  readonly directory: string
  readonly indexPath: string
  readonly kernelCache: KernelCache
}

export interface StartupFlightModules {
  readonly content: ContentStore
  readonly log: Log
}

/** A frame that is here: which pack of the plan, which frame of it. */
type Arrival = readonly [pack: number, frame: number]

export class StartupFlight {
  /** Resolves when everything is done or has been given up. Never rejects. */
  readonly done: Promise<void>
  readonly #options: StartupFlightOptions
  readonly #modules: StartupFlightModules
  readonly #abort = new AbortController()
  readonly #arrivals: Arrival[] = []
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
      const plan = await readPlan(this.#options)
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
      const rawBytes = plan.packs.reduce((sum, pack) => sum + pack.rawSizeBytes, 0)
      log.info({ rawBytes, fetchedMs, storedBytes, storedMs }, 'the start of an image is here')
    } catch (error) {
      if (this.#abort.signal.aborted) return
      log.warn(
        { err: error },
        'the start of an image cannot be fetched ahead: it is read as needed',
      )
    }
  }

  async #fetch(plan: StartupPlan): Promise<void> {
    const { source } = this.#options
    for (const [at, pack] of plan.packs.entries()) {
      const onFrame = (frame: number): void => {
        this.#arrivals.push([at, frame])
        this.#wake()
      }
      const frames = { first: 0, count: pack.frames.length }
      await this.#modules.content.prefetch({ pack, frames, source, onFrame }, this.#abort.signal)
    }
  }

  /** How many bytes the kernel has taken. */
  async #storeArrivals(plan: StartupPlan): Promise<number> {
    const target = await this.#target
    if (target === undefined) return 0
    const index = Index.open(target.indexPath)
    const inodes = new KnownInodes(plan, index, target)
    const allMet = inodes.meetAll(this.#abort.signal)
    try {
      const places = new StartupPlaces(plan, index)
      let storedBytes = 0
      for (let next = 0; !this.#abort.signal.aborted; next++) {
        while (next >= this.#arrivals.length && !this.#isFetched) await this.#more()
        const arrival = this.#arrivals[next]
        if (arrival === undefined) break
        storedBytes += await this.#storeFrame(arrival, { plan, places, inodes, target })
      }
      return storedBytes
    } finally {
      await allMet
      index.close()
    }
  }

  async #storeFrame(
    [packAt, frameAt]: Arrival,
    to: { plan: StartupPlan; places: StartupPlaces; inodes: KnownInodes; target: StartupTarget },
  ): Promise<number> {
    const pack = to.plan.packs[packAt]
    const frame = pack?.frames[frameAt]
    if (pack === undefined || frame === undefined) return 0
    const parts = to.places.partsOf(packAt, frameAt)
    if (parts.length === 0) return 0
    // What was decoded a moment ago is still in memory.
    const raw = await this.#read(pack, frame.rawOffset, frame.rawSizeBytes)
    let storedBytes = 0
    for (const { ino, offset, from, length } of parts) {
      if (this.#abort.signal.aborted) return storedBytes
      if (!(await to.inodes.meet(ino))) continue
      const bytes = raw.subarray(from, from + length)
      const { kernelCache, tree } = to.target
      if (await kernelCache.store(tree.slot, ino, offset, bytes)) storedBytes += length
    }
    return storedBytes
  }

  async #read(pack: PackTable, rawOffset: number, sizeBytes: number): Promise<Uint8Array> {
    const target = Buffer.allocUnsafeSlow(sizeBytes)
    const { source } = this.#options
    await this.#modules.content.read({ pack, rawOffset, target, source }, this.#abort.signal)
    return target
  }

  async #more(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#wake = resolve
    })
  }
}

/**
 * Inodes that the kernel knows because we have looked at them: pages can be stored for no others.
 * Looked up without blocking this thread, which the mount may need to answer.
 */
class KnownInodes {
  readonly #plan: StartupPlan
  readonly #index: Index
  readonly #directory: Buffer
  readonly #met = new Map<number, Promise<boolean>>()

  constructor(plan: StartupPlan, index: Index, target: StartupTarget) {
    this.#plan = plan
    this.#index = index
    this.#directory = Buffer.from(`${target.directory}/`)
  }

  /** Whether the kernel knows the inode now. Never rejects. */
  meet(ino: number): Promise<boolean> {
    const known = this.#met.get(ino) ?? this.#look(ino)
    this.#met.set(ino, known)
    return known
  }

  /** Looks at all files of the plan in the order of the start, one after the other. */
  async meetAll(signal: AbortSignal): Promise<void> {
    for (const { ino } of this.#plan.runs) {
      if (signal.aborted) return
      if (!this.#met.has(ino)) await this.meet(ino)
    }
  }

  async #look(ino: number): Promise<boolean> {
    const path = this.#plan.paths.get(ino)
    try {
      if (path === undefined || !this.#leadsTo(path, ino)) return false
      await lstat(Buffer.concat([this.#directory, path]))
      return true
    } catch {
      // The tree or the mount is going, or the index is broken: whoever wants the file will see why.
      return false
    }
  }

  /** A path with a symbolic link in it would lead anywhere; in the index, none is followed. */
  #leadsTo(path: Uint8Array, ino: number): boolean {
    let at = 1
    for (const name of Buffer.from(path).toString('latin1').split('/')) {
      const found = this.#index.lookup(at, Buffer.from(name, 'latin1'))
      if (found === undefined) return false
      at = found
    }
    return at === ino
  }
}

async function readPlan({ ref, planPath }: StartupFlightOptions): Promise<StartupPlan> {
  const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
  const file = await open(planPath, flags)
  let bytes: Buffer
  try {
    const buffer = Buffer.alloc(ref.plan.sizeBytes)
    const { bytesRead } = await file.read(buffer, 0, buffer.length, 0)
    bytes = buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`
  if (digest !== ref.plan.digest) {
    const message = `startup plan ${planPath}: is ${digest}, the recipe says ${ref.plan.digest}`
    throw new SnapshotterError('invalid-content', message)
  }
  const plan = startupPlanFromBytes(bytes)
  const named = ref.packs.map((pack) => pack.digest).join(' ')
  if (plan.packs.map((pack) => pack.digest).join(' ') !== named) {
    const message = `startup plan ${planPath}: names other packs than the recipe`
    throw new SnapshotterError('invalid-content', message)
  }
  return plan
}
