/**
 * The content tiers together: memory, then disk, then a store. Invariant: every byte that leaves
 * was verified against the digest of its frame, by this process or, after a clean stop, by the one
 * before it.
 */
import { LRUCache } from 'lru-cache'
import { type Digest, frameIndexAt, type PackTable } from '../../index-format/index.js'
import { FusefsError } from '../errors.js'
import type { Log } from '../log.js'
import { abortable } from './abortable.js'
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
import { ScopedSignal } from './scoped-signal.js'

export interface ContentStoreOptions extends Partial<ContentLimits> {
  /** The folder of the disk tier, made if missing. Without it there is no disk tier. */
  readonly cacheDir?: string | undefined
}

export interface ReadRequest {
  readonly pack: PackTable
  /** In the pack's uncompressed address space. */
  readonly rawOffset: number
  /** Filled whole, or the read fails. Not touched any more once the read has settled. */
  readonly target: Uint8Array
  readonly source: BlobSource
}

export interface PrefetchRequest {
  readonly pack: PackTable
  /** Which frames, by index; `count` may reach beyond the last. */
  readonly frames: { readonly first: number; readonly count: number }
  readonly source: BlobSource
  /** Default `prefetch`; `background` gives way to that, too. */
  readonly priority?: 'prefetch' | 'background'
  /** Told each frame, by index, as soon as `read` need not wait for it. Must not throw. */
  readonly onFrame?: (frameIndex: number) => void
}

interface Modules {
  readonly log: Log
  /** Counted into; a fresh set when absent. Sources may share it. */
  readonly stats?: ContentStats
  /** Defaults to decoding in this thread. */
  readonly decoder?: FrameDecoder
}

interface FrameWant {
  readonly source: BlobSource
  readonly signal: AbortSignal
  readonly priority: FetchPriority
}

/** Flights that one read waits for, when those of others with other stores keep failing. */
const MAX_FLIGHTS = 3

/** Frames that one prefetch has queued at a time. */
const PREFETCH_WINDOW_FRAMES = 512

export class ContentStore {
  readonly stats: ContentStats
  readonly #directory: CacheDirectory | undefined
  readonly #disk: DiskTier | undefined
  readonly #memory: LRUCache<string, Uint8Array>
  readonly #fetcher: FrameFetcher
  readonly #sequential: SequentialReads
  readonly #entries = new Map<string, PackEntry>()
  readonly #ids = new WeakMap<PackTable, string>()
  readonly #saving: NodeJS.Timeout
  #closing: Promise<void> | undefined

  private constructor(
    limits: ContentLimits,
    modules: Required<Modules> & { faults: FaultLog; directory: CacheDirectory | undefined },
  ) {
    const { decoder, directory, faults, log, stats } = modules
    this.stats = stats
    this.#directory = directory
    this.#memory = new LRUCache({
      maxSize: limits.memoryBytes,
      sizeCalculation: (raw) => raw.length,
    })
    const onWritten = (entry: PackEntry, frameIndex: number): void => {
      // The page cache has it now: no need to keep it twice.
      this.#memory.delete(memoryKey(entry, frameIndex))
    }
    if (directory !== undefined) {
      this.#disk = new DiskTier(limits, { directory, decoder, faults, log, stats, onWritten })
    }
    this.#fetcher = new FrameFetcher(limits, {
      decoder,
      faults,
      stats,
      onFrame: (entry, frameIndex, raw) => {
        this.#memory.set(memoryKey(entry, frameIndex), raw)
        this.#disk?.enqueue(entry, frameIndex, raw)
      },
      room: () => this.#disk?.room() ?? Promise.resolve(),
    })
    this.#sequential = new SequentialReads(limits)
    this.#saving = setInterval(() => directory?.save({ durable: false }), limits.saveIntervalMs)
    this.#saving.unref()
  }

  /**
   * Opens the tiers. Throws `cache-io` when the folder cannot be used or another process uses it,
   * and `invalid-argument` for a limit that is not a positive number.
   */
  static open(options: ContentStoreOptions, modules: Modules): Promise<ContentStore> {
    // Everything up to now is synchronous; the promise leaves room for that to change.
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
      resolve(new ContentStore(limits, { log: modules.log, stats, decoder, faults, directory }))
    })
  }

  /**
   * What dispatcher threads need to read a pack without asking: opens or makes its mirror. Valid
   * until `MirrorView.retired`; ask again then. Throws `cache-io` when there is no disk for it.
   */
  mirror(pack: PackTable): MirrorShared {
    if (this.#directory === undefined || this.#closing !== undefined) {
      throw new FusefsError('cache-io', `no mirror of pack ${pack.digest}: there is no disk tier`)
    }
    return this.#directory.mirror(this.#idOf(pack), pack).shared
  }

  /**
   * Fills `target`. Throws what the source throws, `verification-failed` where its bytes are not
   * what the index says, `aborted` once `signal` is, `invalid-argument` for a range that the pack
   * does not have. A failed read can be tried again.
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
    const entry = this.#use(pack)
    const scope = new ScopedSignal(signal)
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
        const filling = this.#fill(entry, i, part, request.source, scope.signal)
        if (filling !== undefined) parts.push(filling)
        if (this.#fetcher.isFetching(entry, i)) missed.push(i)
      }
      this.#readAhead(entry, missed, request.source)
      // All of them settle before the caller may use `target` for something else.
      const failed = (await Promise.allSettled(parts)).find((part) => part.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    } catch (error) {
      this.stats.readFailures++
      throw error
    } finally {
      scope.close()
      this.#release(entry)
    }
  }

  /**
   * Fetches frames that are not there, after all reads, and resolves when they are on disk (in
   * memory, where the disk refuses). Throws as `read` does, after having tried every frame.
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

  /** What the disk tier holds. */
  packs(): CachedPack[] {
    return this.#directory?.packs() ?? []
  }

  /** What is going on now. */
  load(): { ranges: number; queuedFrames: number; memoryBytes: number; diskRefuses: boolean } {
    return {
      ...this.#fetcher.load,
      memoryBytes: this.#memory.calculatedSize,
      diskRefuses: this.#disk?.isRefusing ?? false,
    }
  }

  /** Drops what the disk holds of a pack, unless it is being read. Returns the bytes freed. */
  remove(digest: Digest): number {
    return this.#directory?.remove(digest) ?? 0
  }

  /**
   * Gives up what is under way and saves what is there. Dispatcher threads must have stopped
   * reading mirrors. Sources stay open. Idempotent.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    clearInterval(this.#saving)
    await this.#fetcher.close()
    await this.#disk?.idle()
    // Reads that were on the way to the disk still hold its descriptors.
    while (this.#entries.size > 0) await new Promise((resolve) => setImmediate(resolve))
    this.#directory?.close()
    this.#memory.clear()
  }

  /** Undefined when it could be done at once. */
  #fill(
    entry: PackEntry,
    frameIndex: number,
    part: { offsetInFrame: number; target: Uint8Array },
    source: BlobSource,
    signal: AbortSignal,
  ): Promise<void> | undefined {
    const raw = this.#inMemory(entry, frameIndex)
    if (raw === undefined) return this.#fillFromBelow(entry, frameIndex, part, source, signal)
    this.stats.memoryHits++
    copyPart(raw, part)
    return undefined
  }

  async #fillFromBelow(
    entry: PackEntry,
    frameIndex: number,
    part: { offsetInFrame: number; target: Uint8Array },
    source: BlobSource,
    signal: AbortSignal,
  ): Promise<void> {
    // Joining a flight must not wait for anything: neighbours are fetched together only when they
    // are asked for in the same turn of the event loop.
    if (this.#disk?.holds(entry, frameIndex) === true) {
      if (await this.#disk.tryRead(entry, frameIndex, part)) {
        this.stats.diskHits++
        return
      }
    }
    this.stats.misses++
    copyPart(await this.#fetch(entry, frameIndex, { source, signal, priority: 'read' }), part)
  }

  /** Drops the bytes: a window of results would hold hundreds of megabytes. */
  async #prefetchFrame(entry: PackEntry, frameIndex: number, want: FrameWant): Promise<void> {
    await this.#fetch(entry, frameIndex, want)
  }

  /** Fetches what those who read in sequence will want next, in the requests of what they want now. */
  #readAhead(entry: PackEntry, missed: readonly number[], source: BlobSource): void {
    const [first] = missed
    const last = missed.at(-1)
    if (first === undefined || last === undefined) return
    const run = this.#sequential.note(entry.id, entry.table, first, last)
    if (run !== undefined) void this.#fetchAhead(entry, run, source)
  }

  /** Never rejects: whoever comes to these frames asks again, and hears why. */
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
        if (signal.aborted) {
          const message = `read of pack ${entry.table.digest} given up by the caller`
          throw new FusefsError('aborted', message, { cause: error })
        }
        // Somebody else's store failed; ours may have it.
        if (flight.source === source || attempts >= MAX_FLIGHTS) throw error
      } finally {
        this.#fetcher.leave(flight)
      }
    }
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

  /** The entry of a pack, which stays and is not evicted until `#release`. */
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
