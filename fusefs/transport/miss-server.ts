/**
 * Answers the READs whose bytes were not local. It plans each READ again, waits for its content,
 * and writes the reply to /dev/fuse. A bounded number is served at a time; the others wait in
 * order.
 */
import { writeSync } from 'node:fs'
import { LRUCache } from 'lru-cache'
import type { PackTable } from '../../index-format/index.js'
import { systemErrorCode } from '../../index-format/system-error.js'
import type { MirrorShared } from '../content/mirror-view.js'
import { errnoOf, isFault, isIncomplete } from '../filesystem/errno.js'
import type { Filesystem } from '../filesystem/filesystem.js'
import type { Log } from '../log.js'
import { PackTables } from '../trees/pack-tables.js'
import { OUT_HEADER_BYTES } from '../wire/reply.js'
import type { ContentReader } from './content-reader.js'
import type { MirrorMessage, Miss, Unique } from './dispatcher-messages.js'
import { KilledWaiters } from './killed-waiters.js'
import type { CompleteIndex } from './parked-requests.js'
import type { StatsRow } from './server-stats.js'

/** Reads served at a time. Each has a buffer of up to 1 MiB. */
const MAX_CONCURRENT = 64

export interface MissServerModules {
  readonly filesystem: Filesystem
  readonly content: ContentReader
  readonly completeIndex: CompleteIndex
  readonly onHead: HeadListener | undefined
  readonly stats: StatsRow
  readonly log: Log
  /** Sends a mirror to all dispatchers. */
  readonly announce: (message: MirrorMessage) => void
}

/**
 * Called after a READ from offset 0 had to wait and was answered. `head` is the answer: the first
 * bytes of the file, as many as the READ asked for. `head` is valid only during the call. The
 * listener must return at once and must not throw.
 */
export type HeadListener = (file: { slot: number; ino: number }, head: Uint8Array) => void

interface Running {
  readonly miss: Miss
  readonly abort: AbortController
}

export class MissServer {
  readonly #fd: number
  readonly #modules: MissServerModules
  readonly #running = new Set<Running>()
  readonly #killed = new KilledWaiters()
  readonly #waiting: Miss[] = []
  readonly #tables = new PackTables()
  readonly #announced = new LRUCache<string, MirrorShared>({ max: 16_384 })
  #idle: (() => void)[] = []
  #abandoned = false

  constructor(options: { fd: number }, modules: MissServerModules) {
    this.#fd = options.fd
    this.#modules = modules
  }

  /** Number of reads that have not been answered yet. */
  get pending(): number {
    return this.#running.size + this.#waiting.length
  }

  /** Takes over a read and answers it, with an errno when it fails. Never throws. */
  take(miss: Miss): void {
    if (this.#abandoned) return
    if (this.#running.size < MAX_CONCURRENT) this.#start(miss)
    else this.#waiting.push(miss)
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
    this.#waiting.length = 0
    for (const { abort } of this.#running) abort.abort()
  }

  /** Forgets which mirrors were announced, because a new dispatcher knows none of them. */
  forgetAnnounced(): void {
    this.#announced.clear()
  }

  #start(miss: Miss): void {
    const running: Running = { miss, abort: new AbortController() }
    this.#running.add(running)
    this.#killed.add(miss.unique, { pid: miss.pid, abort: running.abort })
    void this.#serve(running).finally(() => {
      this.#running.delete(running)
      this.#killed.remove(miss.unique)
      const next = this.#waiting.shift()
      if (next !== undefined) this.#start(next)
      if (this.pending > 0) return
      for (const resolve of this.#idle.splice(0)) resolve()
    })
  }

  async #serve({ miss, abort }: Running): Promise<void> {
    const { stats, log } = this.#modules
    let reply: Uint8Array
    try {
      reply = await this.#fillIndexed(miss, abort.signal)
      stats.countBytesRead(reply.length - OUT_HEADER_BYTES)
    } catch (error) {
      const { slot, ino, offset, size } = miss
      if (isFault(error)) {
        stats.countFault()
        log.error({ err: error, slot, ino, offset, size }, 'a read could not be answered')
      }
      stats.countError()
      reply = new Uint8Array(OUT_HEADER_BYTES)
      new DataView(reply.buffer).setInt32(4, -errnoOf(error), true)
    }
    if (this.#abandoned) return
    this.#write(miss, reply)
    const head = reply.subarray(OUT_HEADER_BYTES)
    if (miss.offset === 0 && head.length > 0) this.#modules.onHead?.(miss, head)
  }

  /** Waits for the whole index when the pack's table is in a part that has not arrived yet. */
  async #fillIndexed(miss: Miss, signal: AbortSignal): Promise<Uint8Array> {
    try {
      return await this.#fill(miss, signal)
    } catch (error) {
      if (!isIncomplete(error)) throw error
      await this.#modules.completeIndex(miss.slot, signal)
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
    const key = `${slot} ${pack}`
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
