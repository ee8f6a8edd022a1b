/**
 * The content tiers together: memory, then disk, then a store. Invariant: every byte that is
 * returned was verified against the digest of its frame, by this process or, after a clean stop, by
 * an earlier process.
 */
import { LRUCache } from 'lru-cache'
import { type Digest, frameIndexAt, type PackTable } from '../../index-format/index.js'
import { FusefsError } from '../errors.js'
import type { Log } from '../log.js'
import { abortable } from '../waiting/abortable.js'
import type { BlobSource } from './blob-source.js'
import { type ContentStats, createContentStats } from './content-stats.js'
import { CacheDirectory, type CachedPack } from './disk/cache-directory.js'
import { DiskTier } from './disk/disk-tier.js'
import { FaultLog } from './fault-log.js'
import { FrameFetcher } from './fetch/frame-fetcher.js'
import type { FetchPriority, FrameFlight } from './fetch/frame-flight.js'
import { type FrameRun, SequentialReads } from './fetch/sequential-reads.js'
import { type FrameDecoder, inlineFrameDecoder } from './frame-decoder.js'
import { type ContentLimits, DEFAULT_CONTENT_LIMITS } from './content-limits.js'
import type { MirrorShared } from './mirror-view.js'
import { createPackEntry, frameOf, packIdOf, type PackEntry } from './pack-entry.js'
import { mayPass, patiently, type PatienceOptions } from '../waiting/patience.js'
import { isLate } from '../waiting/request-deadline.js'
import { ScopedSignal } from '../waiting/scoped-signal.js'

export interface ContentStoreOptions extends Partial<ContentLimits> {
  /** The folder of the disk tier, created if missing. Default: there is no disk tier. */
  readonly cacheDir?: string | undefined
}

export interface ReadRequest {
  readonly pack: PackTable
  /** First byte in the pack's uncompressed address space, from 0. */
  readonly rawOffset: number
  /** Filled completely, or the read fails. Not written to after the read has settled. */
  readonly target: Uint8Array
  readonly source: BlobSource
}

export interface PrefetchRequest {
  readonly pack: PackTable
  /** The frames by index. `first + count` may reach beyond the last frame. */
  readonly frames: { readonly first: number; readonly count: number }
  readonly source: BlobSource
  /** Default `prefetch`. A `background` request also lets `prefetch` requests go first. */
  readonly priority?: 'prefetch' | 'background'
  /** Called with the index of each frame as soon as `read` need not wait for it. Must not throw. */
  readonly onFrame?: (frameIndex: number) => void
}

interface Modules {
  readonly log: Log
  /** The counters to increment. Default: new counters. Sources may share them. */
  readonly stats?: ContentStats
  /** Default: frames are decoded on this thread. The caller closes the decoder. */
  readonly decoder?: FrameDecoder
  /** The clock, and the waits of reads that try again. Default: the system's. */
  readonly patience?: Pick<PatienceOptions, 'now' | 'timing'>
}

interface FrameWant {
  readonly source: BlobSource
  readonly signal: AbortSignal
  readonly priority: FetchPriority
}

/**
 * Flights that one read tries for a frame. A flight that another read started may fail because of
 * that read's store.
 */
const MAX_FLIGHTS = 3

/** Frames that one prefetch queues at a time. */
const PREFETCH_WINDOW_FRAMES = 512

export class ContentStore {
  readonly stats: ContentStats
  readonly #directory: CacheDirectory | undefined
  readonly #disk: DiskTier | undefined
  readonly #memory: LRUCache<string, Uint8Array>
  readonly #fetcher: FrameFetcher
  readonly #sequential: SequentialReads
  readonly #patience: Pick<PatienceOptions, 'now' | 'timing'>
  readonly #entries = new Map<string, PackEntry>()
  readonly #ids = new WeakMap<PackTable, string>()
  readonly #saving: NodeJS.Timeout
  #outsideBytes = 0
  #closing: Promise<void> | undefined

  private constructor(
    limits: ContentLimits,
    modules: Required<Modules> & { faults: FaultLog; directory: CacheDirectory | undefined },
  ) {
    const { decoder, directory, faults, log, stats } = modules
    const now = modules.patience.now ?? ((): number => performance.now())
    this.stats = stats
    this.#directory = directory
    this.#memory = new LRUCache({
      maxSize: limits.memoryBytes,
      sizeCalculation: (raw) => raw.length,
    })
    const onWritten = (entry: PackEntry, frameIndex: number): void => {
      // The kernel's page cache has the frame now. Do not keep it in memory a second time.
      this.#memory.delete(memoryKey(entry, frameIndex))
    }
    if (directory !== undefined) {
      this.#disk = new DiskTier(limits, { directory, decoder, faults, log, stats, onWritten, now })
    }
    this.#fetcher = new FrameFetcher(limits, {
      decoder,
      faults,
      stats,
      now,
      onFrame: (entry, frameIndex, raw) => {
        this.#memory.set(memoryKey(entry, frameIndex), raw)
        this.#disk?.enqueue(entry, frameIndex, raw)
      },
      room: () => this.#disk?.room() ?? Promise.resolve(),
    })
    this.#sequential = new SequentialReads(limits)
    this.#patience = modules.patience
    this.#saving = setInterval(() => directory?.save({ durable: false }), limits.saveIntervalMs)
    this.#saving.unref()
  }

  /**
   * Opens the tiers. Throws `cache-io` when the folder cannot be used or another process uses it,
   * and `invalid-argument` for a limit that is not a positive whole number. The caller closes it.
   */
  static open(options: ContentStoreOptions, modules: Modules): Promise<ContentStore> {
    // Opening is synchronous so far. The promise allows that to change.
    return new Promise((resolve) => {
      const { cacheDir, ...overrides } = options
      const limits = checkedLimits({ ...DEFAULT_CONTENT_LIMITS, ...overrides })
      const stats = modules.stats ?? createContentStats()
      const faults = new FaultLog({ windowMs: limits.logWindowMs }, { log: modules.log })
      const directory =
        cacheDir === undefined
          ? undefined
          : CacheDirectory.open({ cacheDir, limits }, { faults, stats })
      const decoder = modules.decoder ?? inlineFrameDecoder
      const { log, patience = {} } = modules
      resolve(new ContentStore(limits, { log, stats, decoder, faults, directory, patience }))
    })
  }

  /**
   * Opens or creates the mirror of a pack, and returns the data with which a dispatcher thread can
   * read it by itself. Valid until `MirrorView.retired`; call `mirror` again then. Throws
   * `cache-io` when there is no disk tier or it cannot be used, and `invalid-argument` for an
   * invalid frame table.
   */
  mirror(pack: PackTable): MirrorShared {
    if (this.#directory === undefined || this.#closing !== undefined) {
      throw new FusefsError('cache-io', `no mirror of pack ${pack.digest}: there is no disk tier`)
    }
    return this.#directory.mirror(this.#idOf(pack), pack).shared
  }

  /**
   * Fills `target`. Throws the errors of the source. Throws `verification-failed` when the source's
   * bytes do not have the digest in the index. Throws `aborted` once `signal` is aborted or the
   * store is closed, but `fetch-timeout` if `signal` was aborted with that reason. Throws
   * `invalid-argument` for a range that the pack does not have or an invalid frame table. Tries
   * again as long as the error's `retryForMs` allows. The caller may repeat a failed read.
   */
  async read(request: ReadRequest, signal: AbortSignal): Promise<void> {
    const { pack, rawOffset, target } = request
    const end = rawOffset + target.length
    if (!Number.isSafeInteger(rawOffset) || rawOffset < 0 || end > pack.rawSizeBytes) {
      const range = `${rawOffset} to ${end} of pack ${pack.digest}`
      const message = `read of ${range}, which has ${pack.rawSizeBytes} bytes`
      throw new FusefsError('invalid-argument', message)
    }
    if (target.length === 0) return
    try {
      // Frames that arrived in a failed attempt are cached. The next attempt fetches only the rest.
      let isRetry = false
      const work = async (): Promise<void> => {
        const reading = this.#readOnce(request, { signal, isRetry })
        isRetry = true
        await reading
      }
      await patiently(work, { ...this.#patience, signal })
    } catch (error) {
      this.stats.readFailures++
      throw error
    }
  }

  async #readOnce(
    request: ReadRequest,
    { signal, isRetry }: { signal: AbortSignal; isRetry: boolean },
  ): Promise<void> {
    const { pack, rawOffset, source, target } = request
    const end = rawOffset + target.length
    const entry = this.#use(pack)
    const scope = new ScopedSignal(signal)
    const want = { source, signal: scope.signal, priority: 'read', isRetry } as const
    try {
      const parts: Promise<void>[] = []
      const missed: number[] = []
      for (let i = frameIndexAt(pack, rawOffset); i < pack.frames.length; i++) {
        const frame = frameOf(pack, i)
        if (frame.rawOffset >= end) break
        const from = Math.max(rawOffset, frame.rawOffset)
        const to = Math.min(end, frame.rawOffset + frame.rawSizeBytes)
        const part = {
          offsetInFrame: from - frame.rawOffset,
          target: target.subarray(from - rawOffset, to - rawOffset),
        }
        const filling = this.#fill(entry, i, part, want)
        if (filling !== undefined) parts.push(filling)
        if (this.#fetcher.isFetching(entry, i)) missed.push(i)
      }
      this.#readAhead(entry, missed, source)
      // All parts must settle before the caller may use `target` for something else.
      const results = await Promise.allSettled(parts)
      const failures = results.filter((part) => part.status === 'rejected')
      // A permanent failure of one part ends the read, even if other parts failed temporarily.
      const failed = failures.find(({ reason }) => !mayPass(reason)) ?? failures[0]
      if (failed !== undefined) throw failed.reason
    } finally {
      scope.close()
      this.#release(entry)
    }
  }

  /**
   * Fetches the frames that are not cached. Reads go first. Resolves when the frames are on disk,
   * or in memory when the disk refuses them. Throws what `read` throws, after all frames were tried
   * or `signal` was aborted.
   */
  async prefetch(request: PrefetchRequest, signal: AbortSignal): Promise<void> {
    const { pack, frames, source, onFrame, priority = 'prefetch' } = request
    const entry = this.#use(pack)
    const end = Math.min(pack.frames.length, frames.first + frames.count)
    const scope = new ScopedSignal(signal)
    let failure: PromiseRejectedResult | undefined
    try {
      for (let start = frames.first; start < end; start += PREFETCH_WINDOW_FRAMES) {
        const wanted: Promise<void>[] = []
        for (let i = start; i < Math.min(end, start + PREFETCH_WINDOW_FRAMES); i++) {
          if (this.#inMemory(entry, i) !== undefined || this.#disk?.holds(entry, i)) {
            onFrame?.(i)
            continue
          }
          this.stats.framesPrefetched++
          const want = { source, signal: scope.signal, priority }
          const fetched = this.#prefetchFrame(entry, i, want)
          wanted.push(fetched.then(() => onFrame?.(i)))
        }
        for (const result of await Promise.allSettled(wanted)) {
          if (result.status === 'rejected') failure ??= result
        }
        if (signal.aborted) break
      }
      await entry.writing
    } finally {
      scope.close()
      this.#release(entry)
    }
    if (failure !== undefined) throw failure.reason
  }

  /** Uncompressed bytes on disk. */
  usageBytes(): number {
    return this.#directory?.usageBytes ?? 0
  }

  /**
   * Sets how many bytes of `maxBytes` other files on the disk take, such as indexes. Packs are
   * evicted until they fit in the rest. Initially 0.
   */
  setOutsideBytes(bytes: number): void {
    this.#outsideBytes = bytes
    this.#directory?.setOutsideBytes(bytes)
  }

  /** As set by `setOutsideBytes`. */
  get outsideBytes(): number {
    return this.#outsideBytes
  }

  /** The packs that the disk tier holds. */
  packs(): CachedPack[] {
    return this.#directory?.packs() ?? []
  }

  /**
   * The current load: range requests under way, frames that wait for one, bytes of frames in
   * memory, and whether the disk refused its last write.
   */
  load(): { ranges: number; queuedFrames: number; memoryBytes: number; diskRefuses: boolean } {
    return {
      ...this.#fetcher.load,
      memoryBytes: this.#memory.calculatedSize,
      diskRefuses: this.#disk?.isRefusing ?? false,
    }
  }

  /** Drops a pack from disk, unless it is being read. Returns the uncompressed bytes freed. */
  remove(digest: Digest): number {
    return this.#directory?.remove(digest) ?? 0
  }

  /**
   * Gives up all fetches under way, and saves which frames are on disk. Dispatcher threads must
   * have stopped reading mirrors. Sources stay open. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#saving)
    await this.#fetcher.close()
    await this.#disk?.idle()
    // Reads that are under way still use the descriptors of the disk tier.
    while (this.#entries.size > 0) await new Promise((resolve) => setImmediate(resolve))
    this.#directory?.close()
    this.#memory.clear()
  }

  /** Fills one part from its frame. Returns undefined when that could be done at once. */
  #fill(
    entry: PackEntry,
    frameIndex: number,
    part: { offsetInFrame: number; target: Uint8Array },
    want: FrameWant & { readonly isRetry: boolean },
  ): Promise<void> | undefined {
    const raw = this.#inMemory(entry, frameIndex)
    if (raw === undefined) return this.#fillFromBelow(entry, frameIndex, part, want)
    this.stats.memoryHits++
    copyPart(raw, part)
    return undefined
  }

  async #fillFromBelow(
    entry: PackEntry,
    frameIndex: number,
    part: { offsetInFrame: number; target: Uint8Array },
    want: FrameWant & { readonly isRetry: boolean },
  ): Promise<void> {
    // A frame that is not on disk must join its flight without waiting: neighbouring frames share a
    // range request only when they are requested in the same turn of the event loop.
    if (this.#disk?.holds(entry, frameIndex) === true) {
      if (await this.#disk.tryRead(entry, frameIndex, part)) {
        this.stats.diskHits++
        return
      }
    }
    if (!want.isRetry) this.stats.misses++
    copyPart(await this.#fetch(entry, frameIndex, want), part)
  }

  /** Fetches a frame and drops its bytes: a window of results would take hundreds of megabytes. */
  async #prefetchFrame(entry: PackEntry, frameIndex: number, want: FrameWant): Promise<void> {
    await this.#fetch(entry, frameIndex, want)
  }

  /**
   * Fetches the frames that a sequential reader will read next, in the same range request as the
   * frames that it waits for now.
   */
  #readAhead(entry: PackEntry, missed: readonly number[], source: BlobSource): void {
    const [first] = missed
    const last = missed.at(-1)
    if (first === undefined || last === undefined) return
    const run = this.#sequential.note(entry.id, entry.table, first, last)
    if (run !== undefined) void this.#fetchAhead(entry, run, source)
  }

  /** Never rejects. A read that comes to a failed frame fetches it again and gets the error. */
  async #fetchAhead(entry: PackEntry, run: FrameRun, source: BlobSource): Promise<void> {
    this.#use(entry.table)
    const flights: FrameFlight[] = []
    for (let i = run.first; i < run.end; i++) {
      if (this.#fetcher.isFetching(entry, i) || this.#inMemory(entry, i) !== undefined) continue
      if (this.#disk?.holds(entry, i) === true) continue
      this.stats.framesReadAhead++
      flights.push(this.#fetcher.join({ entry, frameIndex: i, source, priority: 'ahead' }))
    }
    await Promise.allSettled(flights.map(({ decoded }) => decoded))
    for (const flight of flights) this.#fetcher.leave(flight)
    this.#release(entry)
  }

  async #fetch(entry: PackEntry, frameIndex: number, want: FrameWant): Promise<Uint8Array> {
    const { source, signal, priority } = want
    for (let attempts = 1; ; attempts++) {
      const flight = this.#fetcher.join({ entry, frameIndex, source, priority })
      try {
        return await abortable(flight.decoded, signal)
      } catch (error) {
        if (isLate(signal)) throw signal.reason
        if (signal.aborted) {
          const message = `read of pack ${entry.table.digest} given up by the caller`
          throw new FusefsError('aborted', message, { cause: error })
        }
        // The flight used the store of another read, and that store failed. This read's store may
        // have the frame.
        if (flight.source === source || attempts >= MAX_FLIGHTS) throw error
      } finally {
        const goesOn = this.#fetcher.leave(flight, { isLate: isLate(signal) })
        if (goesOn) this.#keepUntilSettled(entry, flight)
      }
    }
  }

  /** Keeps the entry of a pack for a flight that no reader waits for. */
  #keepUntilSettled(entry: PackEntry, flight: FrameFlight): void {
    entry.users++
    this.#directory?.pin(entry.id)
    void flight.decoded
      .catch(() => undefined)
      .finally(() => {
        this.#release(entry)
      })
  }

  #inMemory(entry: PackEntry, frameIndex: number): Uint8Array | undefined {
    return entry.unwritten.get(frameIndex) ?? this.#memory.get(memoryKey(entry, frameIndex))
  }

  #idOf(pack: PackTable): string {
    const known = this.#ids.get(pack)
    if (known !== undefined) return known
    const id = packIdOf(pack)
    this.#ids.set(pack, id)
    return id
  }

  /** The entry of a pack. Until `#release`, the entry is kept and the pack is not evicted. */
  #use(pack: PackTable): PackEntry {
    if (this.#closing !== undefined) throw new FusefsError('aborted', 'the content store is closed')
    const id = this.#idOf(pack)
    const entry = this.#entries.get(id) ?? createPackEntry(id, pack)
    this.#entries.set(id, entry)
    entry.users++
    this.#directory?.pin(id)
    return entry
  }

  #release(entry: PackEntry): void {
    this.#directory?.unpin(entry.id)
    entry.users--
    this.#forget(entry)
  }

  #forget(entry: PackEntry): void {
    if (entry.users > 0) return
    if (entry.writing === undefined) {
      this.#entries.delete(entry.id)
      return
    }
    void entry.writing.then(() => {
      this.#forget(entry)
    })
  }
}

function copyPart(raw: Uint8Array, part: { offsetInFrame: number; target: Uint8Array }): void {
  const { offsetInFrame, target } = part
  target.set(raw.subarray(offsetInFrame, offsetInFrame + target.length))
}

function memoryKey(entry: PackEntry, frameIndex: number): string {
  return `${entry.id}/${frameIndex}`
}

function checkedLimits(limits: ContentLimits): ContentLimits {
  for (const [name, value] of Object.entries(limits)) {
    if (Number.isSafeInteger(value) && value > 0) continue
    const message = `content store: ${name} is ${String(value)}, expected a positive whole number`
    throw new FusefsError('invalid-argument', message)
  }
  return limits
}
