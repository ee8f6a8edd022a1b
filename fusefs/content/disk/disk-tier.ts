/**
 * Writes verified frames to their mirrors, a contiguous run of frames with one call. When the disk
 * refuses a write, frames stay in memory only, and the disk is tried again later. A failure of the
 * disk never fails a read.
 */
import { FusefsError } from '../../errors.js'
import type { Log } from '../../log.js'
import type { ContentStats } from '../content-stats.js'
import type { FaultLog } from '../fault-log.js'
import type { FrameDecoder } from '../frame-decoder.js'
import type { ContentLimits } from '../content-limits.js'
import { FRAME_ABSENT, FRAME_CLAIMED, FRAME_PRESENT } from '../mirror-view.js'
import { frameOf, type PackEntry } from '../pack-entry.js'
import type { CacheDirectory } from './cache-directory.js'
import type { PackMirror } from './pack-mirror.js'

interface Modules {
  readonly directory: CacheDirectory
  readonly decoder: FrameDecoder
  readonly faults: FaultLog
  readonly log: Log
  readonly stats: ContentStats
  /** Called when a frame is on disk. */
  readonly onWritten: (entry: PackEntry, frameIndex: number) => void
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number
}

/** Limits of one write, in bytes and in pieces: IOV_MAX is 1024 (limits.h). */
const MAX_WRITE_BYTES = 16 * 1024 * 1024
const MAX_WRITE_PIECES = 1024

export class DiskTier {
  readonly #limits: ContentLimits
  readonly #modules: Modules
  readonly #writings = new Set<Promise<void>>()
  #unwrittenBytes = 0
  #waitingForRoom: (() => void)[] = []
  /** When to try the disk again, in milliseconds of the clock. Undefined while the disk works. */
  #refusedUntil: number | undefined

  constructor(limits: ContentLimits, modules: Modules) {
    this.#limits = limits
    this.#modules = modules
  }

  /** Whether the disk refused the last write. */
  get isRefusing(): boolean {
    return this.#refusedUntil !== undefined
  }

  /** Whether the frame is on disk, verified or not. */
  holds(entry: PackEntry, frameIndex: number): boolean {
    const mirror = this.#mirror(entry)
    return mirror !== undefined && mirror.stateOf(frameIndex) !== FRAME_ABSENT
  }

  /** Fills `target` from `offsetInFrame` of a frame. False when the disk has no verified bytes. */
  async tryRead(
    entry: PackEntry,
    frameIndex: number,
    part: { offsetInFrame: number; target: Uint8Array },
  ): Promise<boolean> {
    const mirror = this.#mirror(entry)
    if (mirror === undefined) return false
    const state = mirror.stateOf(frameIndex)
    if (state === FRAME_ABSENT) return false
    if (state === FRAME_CLAIMED) {
      const raw = await this.#checked(entry, frameIndex, mirror)
      if (raw === undefined) return false
      const { offsetInFrame, target } = part
      target.set(raw.subarray(offsetInFrame, offsetInFrame + target.length))
      return true
    }
    const { rawOffset } = frameOf(entry.table, frameIndex)
    if (await this.#readInto(mirror, entry, part.target, rawOffset + part.offsetInFrame)) {
      return mirror.stateOf(frameIndex) === FRAME_PRESENT
    }
    mirror.markAbsent(frameIndex)
    return false
  }

  /**
   * Takes a verified frame to write. The frame is in `entry.unwritten` until then. Does nothing
   * while the disk is left alone after a refused write.
   */
  enqueue(entry: PackEntry, frameIndex: number, raw: Uint8Array): void {
    if (this.#isLeftAlone()) return
    if (entry.unwritten.has(frameIndex)) return
    entry.unwritten.set(frameIndex, raw)
    this.#unwrittenBytes += raw.length
    if (entry.writing !== undefined) return
    const { directory } = this.#modules
    directory.pin(entry.id)
    const writing = this.#writeAll(entry).finally(() => {
      entry.writing = undefined
      this.#writings.delete(writing)
      directory.unpin(entry.id)
    })
    entry.writing = writing
    this.#writings.add(writing)
  }

  /** Resolves when there is room for more unwritten frames. */
  async room(): Promise<void> {
    if (this.#unwrittenBytes <= this.#limits.maxUnwrittenBytes) return
    await new Promise<void>((resolve) => {
      this.#waitingForRoom.push(resolve)
    })
  }

  /** Resolves when all enqueued frames are written or were refused. */
  async idle(): Promise<void> {
    while (this.#writings.size > 0) await Promise.all(this.#writings)
  }

  async #writeAll(entry: PackEntry): Promise<void> {
    // Frames that arrive in the same turn of the event loop are written together.
    await Promise.resolve()
    while (entry.unwritten.size > 0) {
      const run = firstRun(entry.unwritten)
      await this.#writeRun(entry, run)
      for (const [frameIndex, raw] of run) {
        entry.unwritten.delete(frameIndex)
        this.#unwrittenBytes -= raw.length
      }
      if (this.#unwrittenBytes > this.#limits.maxUnwrittenBytes) continue
      const waiting = this.#waitingForRoom
      this.#waitingForRoom = []
      for (const resolve of waiting) resolve()
    }
  }

  async #writeRun(
    entry: PackEntry,
    run: readonly (readonly [number, Uint8Array])[],
  ): Promise<void> {
    const [first] = run
    if (first === undefined) return
    const { directory, onWritten, log } = this.#modules
    const sizeBytes = run.reduce((sum, [, raw]) => sum + raw.length, 0)
    if (!directory.reserve(sizeBytes)) return
    try {
      const raws = run.map(([, raw]) => raw)
      await directory.mirror(entry.id, entry.table).write(first[0], raws)
      for (const [frameIndex] of run) onWritten(entry, frameIndex)
      if (this.#refusedUntil !== undefined) {
        log.info({ usageBytes: directory.usageBytes }, 'the cache can be written again')
        this.#refusedUntil = undefined
      }
    } catch (error) {
      this.#noteRefusal(error)
    } finally {
      directory.release(sizeBytes)
    }
  }

  #noteRefusal(error: unknown): void {
    const { directory, faults, stats } = this.#modules
    stats.diskFailures++
    this.#refusedUntil = this.#modules.now() + this.#limits.diskRetryMs
    const cause = systemCodeOf(error)
    // Other programs use this disk, too, so it may be full below `maxBytes`. Make room for the next
    // write.
    if (cause === 'ENOSPC' || cause === 'EDQUOT') directory.evictOne()
    const message = 'the cache cannot be written: content is served from memory meanwhile'
    faults.note({ subject: 'cache', cause, error, message })
  }

  /** Verifies a frame that an earlier process left. Any number of readers share one check. */
  async #checked(
    entry: PackEntry,
    frameIndex: number,
    mirror: PackMirror,
  ): Promise<Uint8Array | undefined> {
    const running = entry.checks.get(frameIndex)
    if (running !== undefined) return running
    const check = this.#check(entry, frameIndex, mirror).finally(() => {
      entry.checks.delete(frameIndex)
    })
    entry.checks.set(frameIndex, check)
    return check
  }

  async #check(
    entry: PackEntry,
    frameIndex: number,
    mirror: PackMirror,
  ): Promise<Uint8Array | undefined> {
    const { decoder, faults, stats } = this.#modules
    const frame = frameOf(entry.table, frameIndex)
    const raw = Buffer.allocUnsafe(frame.rawSizeBytes)
    const isRead = await this.#readInto(mirror, entry, raw, frame.rawOffset)
    if (isRead && (await decoder.verify(frame, raw))) {
      stats.framesReverified++
      mirror.markPresent(frameIndex)
      return raw
    }
    mirror.markAbsent(frameIndex)
    if (!isRead) return undefined
    stats.verifyFailures++
    const subject = entry.table.digest
    const where = `frame at ${frame.rawOffset} of the mirror of pack ${subject}`
    const error = new FusefsError('verification-failed', `${where} has other bytes`)
    const message = 'the cache holds wrong bytes: they are fetched anew'
    faults.note({ subject, cause: 'cache-verification', error, message })
    return undefined
  }

  async #readInto(
    mirror: PackMirror,
    entry: PackEntry,
    target: Uint8Array,
    rawOffset: number,
  ): Promise<boolean> {
    try {
      return await mirror.readInto(target, rawOffset)
    } catch (error) {
      const { faults, stats } = this.#modules
      stats.diskFailures++
      const message = 'the cache cannot be read: content is fetched anew'
      faults.note({ subject: entry.table.digest, cause: systemCodeOf(error), error, message })
      return false
    }
  }

  #mirror(entry: PackEntry): PackMirror | undefined {
    const { directory } = this.#modules
    if (this.#isLeftAlone() && !directory.isOpen(entry.id)) return undefined
    try {
      return directory.mirror(entry.id, entry.table)
    } catch (error) {
      this.#noteRefusal(error)
      return undefined
    }
  }

  #isLeftAlone(): boolean {
    return this.#refusedUntil !== undefined && this.#refusedUntil > this.#modules.now()
  }
}

/** The first run of consecutive frames, up to the limits of one write. */
function firstRun(unwritten: ReadonlyMap<number, Uint8Array>): (readonly [number, Uint8Array])[] {
  const sorted = [...unwritten].sort(([a], [b]) => a - b)
  const run: (readonly [number, Uint8Array])[] = []
  let sizeBytes = 0
  for (const piece of sorted) {
    const previous = run.at(-1)
    if (previous !== undefined && piece[0] !== previous[0] + 1) break
    sizeBytes += piece[1].length
    if (run.length >= MAX_WRITE_PIECES || (run.length > 0 && sizeBytes > MAX_WRITE_BYTES)) break
    run.push(piece)
  }
  return run
}

/** The error code of the refused system call in the chain of causes, such as ENOSPC. */
function systemCodeOf(error: unknown): string {
  let at: unknown = error
  for (let depth = 0; depth < 8 && at instanceof Error; depth++) {
    if ('syscall' in at && 'code' in at && typeof at.code === 'string') return at.code
    at = at.cause
  }
  return 'unknown'
}
