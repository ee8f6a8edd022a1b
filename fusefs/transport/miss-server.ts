/**
 * Answers the reads whose bytes were not local: plans them again, waits for content, writes the
 * reply to /dev/fuse itself. Bounded: so many at a time, the others wait in order.
 */
import { writeSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { LRUCache } from 'lru-cache'
import type { PackTable } from '../../index-format/index.js'
import type { MirrorShared } from '../content/mirror-view.js'
import { FusefsError } from '../errors.js'
import { errnoOf, isFault, isIncomplete } from '../filesystem/errno.js'
import type { Filesystem } from '../filesystem/filesystem.js'
import type { Log } from '../log.js'
import { PackTables } from '../trees/pack-tables.js'
import { OUT_HEADER_BYTES } from '../wire/reply.js'
import type { ContentReader } from './content-reader.js'
import type { MirrorMessage, Miss, Unique } from './dispatcher-messages.js'
import type { CompleteIndex } from './parked-requests.js'
import type { StatsRow } from './server-stats.js'

/** Buffers are up to 1 MiB each. */
const MAX_CONCURRENT = 64
const KILLED_POLL_MS = 250

export interface MissServerModules {
  readonly filesystem: Filesystem
  readonly content: ContentReader
  readonly completeIndex: CompleteIndex
  readonly stats: StatsRow
  readonly log: Log
  /** Tells every dispatcher of a mirror. */
  readonly announce: (message: MirrorMessage) => void
}

interface Running {
  readonly miss: Miss
  readonly abort: AbortController
  watched: boolean
}

export class MissServer {
  readonly #fd: number
  readonly #modules: MissServerModules
  readonly #running = new Map<bigint, Running>()
  readonly #waiting: Miss[] = []
  readonly #tables = new PackTables()
  readonly #announced = new LRUCache<string, MirrorShared>({ max: 16_384 })
  #idle: (() => void)[] = []
  #abandoned = false

  constructor(options: { fd: number }, modules: MissServerModules) {
    this.#fd = options.fd
    this.#modules = modules
  }

  /** Reads that have not been answered yet. */
  get pending(): number {
    return this.#running.size + this.#waiting.length
  }

  /** Takes over a read. Never throws; the reader gets its answer, an errno if need be. */
  take(miss: Miss): void {
    if (this.#abandoned) return
    if (this.#running.size < MAX_CONCURRENT) this.#start(miss)
    else this.#waiting.push(miss)
  }

  /**
   * A signal hit the reader. Only death ends the wait: a program does not expect EINTR from a file,
   * and a page fault would turn it into SIGBUS.
   */
  interrupt(unique: Unique): void {
    const running = this.#running.get(keyOf(unique))
    if (running === undefined || running.watched) return
    running.watched = true
    void this.#abortWhenKilled(running)
  }

  /** Resolves once nothing is pending. */
  async drained(): Promise<void> {
    if (this.pending === 0) return
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve)
    })
  }

  /** Stops without answering what is left: the next server will ask the kernel for it again. */
  abandon(): void {
    this.#abandoned = true
    this.#waiting.length = 0
    for (const { abort } of this.#running.values()) abort.abort()
  }

  /** Forgets which mirrors the dispatchers know: a new one knows none. */
  forgetAnnounced(): void {
    this.#announced.clear()
  }

  #start(miss: Miss): void {
    const key = keyOf(miss.unique)
    const running: Running = { miss, abort: new AbortController(), watched: false }
    this.#running.set(key, running)
    void this.#serve(running).finally(() => {
      this.#running.delete(key)
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
    if (!this.#abandoned) this.#write(miss, reply)
  }

  /** The table of a pack may be in a part of the index that is not here yet. */
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
    // All have to settle: a buffer that is still being written to must not be left behind.
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
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      // ENOENT: the reader is gone. ENODEV: the mount is.
      if (code === 'ENOENT' || code === 'ENODEV') return
      this.#modules.stats.countFault()
      this.#modules.log.error({ err: error, ino: miss.ino }, 'the kernel refused an answer')
    }
  }

  async #abortWhenKilled({ miss, abort }: Running): Promise<void> {
    while (this.#running.has(keyOf(miss.unique)) && !abort.signal.aborted) {
      if (await isBeingKilled(miss.pid)) {
        abort.abort(new FusefsError('aborted', `thread ${miss.pid} was killed while it read`))
        return
      }
      await new Promise((resolve) => setTimeout(resolve, KILLED_POLL_MS).unref())
    }
  }
}

/** Whether SIGKILL is pending for a thread (proc_pid_status(5), SigPnd and ShdPnd). */
async function isBeingKilled(pid: number): Promise<boolean> {
  if (pid === 0) return false
  try {
    const status = await readFile(`/proc/${pid}/status`, 'latin1')
    const pending = [...status.matchAll(/^(?:SigPnd|ShdPnd):\s*([0-9a-f]+)$/gm)]
    return pending.some((match) => (BigInt(`0x${match[1] ?? '0'}`) & SIGKILL_BIT) !== 0n)
  } catch {
    // No such thread: it is dead already, and nobody waits.
    return true
  }
}

const SIGKILL_BIT = 1n << 8n

function keyOf(unique: Unique): bigint {
  return (BigInt(unique.high) << 32n) | BigInt(unique.low)
}
