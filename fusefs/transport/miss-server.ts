/**
 * Answers the READs whose bytes were not local. It plans each READ again, waits for its content,
 * and writes the reply to /dev/fuse. A bounded number is served at a time; the others wait in
 * order. Each READ has one time limit, which begins when the READ comes.
 */
import { writeSync } from 'node:fs'
import { LRUCache } from 'lru-cache'
import type { PackTable } from '../../index-format/index.js'
import { systemErrorCode } from '../../index-format/system-error.js'
import { FaultLog } from '../content/fault-log.js'
import type { MirrorShared } from '../content/mirror-view.js'
import {
  DEFAULT_REQUEST_DEADLINE_MS,
  isLate,
  requestDeadline,
} from '../waiting/request-deadline.js'
import { errnoOf, isFault, isIncomplete } from '../filesystem/errno.js'
import { FusefsError } from '../errors.js'
import type { Filesystem } from '../filesystem/filesystem.js'
import type { Log } from '../log.js'
import { kindOfError } from '../shown-error.js'
import { PackTables } from '../trees/pack-tables.js'
import { OUT_HEADER_BYTES } from '../wire/reply.js'
import { patiently } from '../waiting/patience.js'
import type { ContentReader } from './content-reader.js'
import type { MirrorMessage, Miss, Unique } from './dispatcher-messages.js'
import { FailedReads } from './failed-reads.js'
import { KilledWaiters } from './killed-waiters.js'
import type { CompleteIndex } from './parked-requests.js'
import { ServingTurns } from './serving-turns.js'
import type { StatsRow } from './server-stats.js'

/** A READ that failed after at least this time is remembered in `FailedReads`. */
const LONG_WAIT_MS = 1_000
/** Each waiting read blocks one thread; the kernel sets no other limit. */
const MAX_PENDING = 16_384
/** How long the same failure of reads of one tree is not logged again. */
const LOG_WINDOW_MS = 60_000

export interface MissServerModules {
  readonly filesystem: Filesystem
  readonly content: ContentReader
  readonly completeIndex: CompleteIndex
  readonly onHead: HeadListener | undefined
  readonly stats: StatsRow
  readonly log: Log
  /** Sends a mirror to all dispatchers. */
  readonly announce: (message: MirrorMessage) => void
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: () => number
}

export interface MissServerOptions {
  /** /dev/fuse, mounted. */
  readonly fd: number
  /** Longest time from a READ to its answer. Default 60,000. */
  readonly deadlineMs?: number | undefined
  /** Reads that may wait at a time. A further one is answered EIO. Default 16,384. */
  readonly maxPending?: number
}

/**
 * Called after a READ from offset 0 had to wait and was answered. `head` is the answer: the first
 * bytes of the file, as many as the READ asked for. `head` is valid only during the call. The
 * listener must return at once and must not throw.
 */
export type HeadListener = (file: { slot: number; ino: number }, head: Uint8Array) => void

/** A READ that has not been answered yet. */
interface PendingRead {
  readonly miss: Miss
  readonly abort: AbortController
  /** When the READ came. */
  readonly sinceMs: number
}

export class MissServer {
  readonly #fd: number
  readonly #deadlineMs: number
  readonly #maxPending: number
  readonly #modules: MissServerModules
  readonly #now: () => number
  readonly #pending = new Set<PendingRead>()
  readonly #killed = new KilledWaiters()
  readonly #turns = new ServingTurns()
  readonly #failed: FailedReads
  readonly #faults: FaultLog
  readonly #tables = new PackTables()
  readonly #announced = new LRUCache<string, MirrorShared>({ max: 16_384 })
  #idle: (() => void)[] = []
  #abandoned = false

  constructor(options: MissServerOptions, modules: MissServerModules) {
    this.#fd = options.fd
    this.#deadlineMs = options.deadlineMs ?? DEFAULT_REQUEST_DEADLINE_MS
    this.#maxPending = options.maxPending ?? MAX_PENDING
    this.#modules = modules
    this.#now = modules.now ?? (() => performance.now())
    this.#faults = new FaultLog({ windowMs: LOG_WINDOW_MS }, { log: modules.log, now: this.#now })
    this.#failed = new FailedReads(this.#now)
  }

  /** Number of reads that have not been answered yet. */
  get pending(): number {
    return this.#pending.size
  }

  /**
   * Takes over a read and answers it, with an errno when it fails or when its time is over. The
   * kernel sent the read `waitedMs` ago. Never throws.
   */
  take(miss: Miss, waitedMs = 0): void {
    if (this.#abandoned) return
    if (this.pending >= this.#maxPending) {
      this.#refuse(miss)
      return
    }
    const earlier = this.#failed.errorOf(miss)
    if (earlier !== undefined) {
      this.#modules.stats.countError()
      this.#write(miss, errorReply(earlier.error))
      return
    }
    const abort = new AbortController()
    const read: PendingRead = { miss, abort, sinceMs: this.#now() - waitedMs }
    this.#pending.add(read)
    this.#killed.add(miss.unique, { pid: miss.pid, abort })
    void this.#serve(read).finally(() => {
      this.#pending.delete(read)
      this.#killed.remove(miss.unique)
      if (this.pending > 0) return
      for (const resolve of this.#idle.splice(0)) resolve()
    })
  }

  /** Call this when a signal hit the reader of this request; see `KilledWaiters`. */
  interrupt(unique: Unique): void {
    this.#killed.interrupt(unique)
  }

  /** Resolves once no read is pending. */
  async drained(): Promise<void> {
    if (this.pending === 0) return
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve)
    })
  }

  /** Stops without answering the remaining reads. The next server asks for them again. */
  abandon(): void {
    this.#abandoned = true
    for (const { abort } of this.#pending) abort.abort()
  }

  /** Forgets which mirrors were announced, because a new dispatcher knows none of them. */
  forgetAnnounced(): void {
    this.#announced.clear()
  }

  /** Forgets that a mirror was announced, because a dispatcher has forgotten the mirror. */
  forgetMirror(slot: number, pack: number): void {
    this.#announced.delete(mirrorKey(slot, pack))
  }

  async #serve(read: PendingRead): Promise<void> {
    const { miss } = read
    const deadlineMs = this.#deadlineMs
    const waitedMs = this.#now() - read.sinceMs
    const scope = requestDeadline(read.abort.signal, { deadlineMs, waitedMs })
    let reply: Uint8Array
    try {
      const fill = (signal: AbortSignal): Promise<Uint8Array> => this.#fillIndexed(miss, signal)
      reply = await this.#turns.serve(miss.slot, fill, scope.signal)
      this.#modules.stats.countBytesRead(reply.length - OUT_HEADER_BYTES)
    } catch (error) {
      if (this.#abandoned) return
      const isLong = isLate(scope.signal) || this.#now() - read.sinceMs >= LONG_WAIT_MS
      if (isLong && !read.abort.signal.aborted) this.#failed.note(miss, error)
      this.#noteFailure(miss, error)
      reply = errorReply(error)
    } finally {
      scope.close()
    }
    if (this.#abandoned) return
    this.#write(miss, reply)
    const head = reply.subarray(OUT_HEADER_BYTES)
    if (miss.offset === 0 && head.length > 0) this.#modules.onHead?.(miss, head)
  }

  /**
   * Answers the read at once with EIO. Without the bound of `maxPending`, reads from a store that
   * does not answer could fill the memory.
   */
  #refuse(miss: Miss): void {
    const error = new FusefsError('overloaded', `${this.#maxPending} reads wait already`)
    this.#modules.stats.countRefused()
    this.#noteFailure(miss, error)
    this.#write(miss, errorReply(error))
  }

  /** Counts every failure. Logs each kind of failure once a minute for each tree. */
  #noteFailure({ slot, ino, offset, size }: Miss, error: unknown): void {
    const { stats } = this.#modules
    stats.countError()
    if (!isFault(error)) return
    stats.countFault()
    this.#faults.note({
      ...{ subject: `tree ${slot}`, cause: kindOfError(error), error, level: 'error' },
      fields: { slot, ino, offset, size },
      message: 'a read could not be answered',
    })
  }

  /** Waits for the whole index when the pack's table is in a part that has not arrived yet. */
  async #fillIndexed(miss: Miss, signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#fill(miss, signal)
    } catch (error) {
      if (!isIncomplete(error)) throw error
      await patiently(() => this.#modules.completeIndex(miss.slot, signal), { signal })
      return this.#fill(miss, signal)
    }
  }

  async #fill(miss: Miss, signal: AbortSignal): Promise<Uint8Array> {
    const plan = this.#modules.filesystem.plan(miss.slot, miss.ino, miss.offset, miss.size)
    const { record } = plan.tree
    const reply = new Uint8Array(OUT_HEADER_BYTES + plan.lengthBytes)
    const reads = plan.runs.map(async (run) => {
      const table = this.#tables.get(plan.tree, run.pack)
      const at = OUT_HEADER_BYTES + run.targetOffset
      const target = reply.subarray(at, at + run.length)
      await this.#modules.content.read(record, table, run.rawOffset, target, signal)
      this.#announce(record.slot, run.pack, table)
    })
    // Wait for all reads, also when one has failed, so that none still writes into the buffer.
    const outcomes = await Promise.allSettled(reads)
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed !== undefined) throw failed.reason
    return reply
  }

  #announce(slot: number, pack: number, table: PackTable): void {
    const shared = this.#modules.content.shared(table)
    const key = mirrorKey(slot, pack)
    if (shared === undefined || this.#announced.get(key)?.state === shared.state) return
    this.#announced.set(key, shared)
    this.#modules.announce({ slot, pack, shared })
  }

  #write(miss: Miss, reply: Uint8Array): void {
    const view = new DataView(reply.buffer)
    view.setUint32(0, reply.length, true)
    view.setUint32(8, miss.unique.low, true)
    view.setUint32(12, miss.unique.high, true)
    try {
      writeSync(this.#fd, reply)
    } catch (error) {
      const code = systemErrorCode(error)
      // ENOENT: the reader is gone. ENODEV: the mount is gone.
      if (code === 'ENOENT' || code === 'ENODEV') return
      this.#modules.stats.countFault()
      this.#modules.log.error({ err: error, ino: miss.ino }, 'the kernel refused an answer')
    }
  }
}

function mirrorKey(slot: number, pack: number): string {
  return `${slot} ${pack}`
}

/** The reply to a READ that failed. */
function errorReply(error: unknown): Uint8Array {
  const reply = new Uint8Array(OUT_HEADER_BYTES)
  new DataView(reply.buffer).setInt32(4, -errnoOf(error), true)
  return reply
}
