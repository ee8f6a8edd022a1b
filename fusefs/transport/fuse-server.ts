/**
 * Serves one FUSE superblock: dispatcher threads answer what is local, this side waits for what is
 * not. The server owns neither the mount nor the descriptor, both outlive it: `stop` leaves the mount
 * as it is, and the next server continues with the descriptor and what INIT negotiated.
 *
 * The serving process must never use the mount with synchronous calls, nor with so many asynchronous
 * ones that none of libuv's threads is left for content: it would wait for itself.
 *
 * A process with dispatchers that block in read(2) cannot exit: Node waits for its threads. So either
 * `stop` first, or unmount, or end the process with SIGKILL.
 */
import { randomBytes } from 'node:crypto'
import { read as readCallback, write as writeCallback, writeSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { ROOT_INO } from '../../index-format/index.js'
import { FusefsError } from '../errors.js'
import { Filesystem } from '../filesystem/filesystem.js'
import { ROOT_SLOT, nodeIdOf } from '../filesystem/node-id.js'
import type { Log } from '../log.js'
import { type TreeSourceSpec, openTreeSource } from '../trees/source-spec.js'
import { nameOfSlot } from '../trees/tree-registry.js'
import type { TreeSource } from '../trees/tree-source.js'
import { type NegotiatedInit, decodeInit, encodeInit } from '../wire/init.js'
import {
  encodeNotifyInvalidateEntry,
  encodeNotifyInvalidateInode,
  encodeNotifyResend,
} from '../wire/notify.js'
import { OPCODES } from '../wire/opcodes.js'
import { Reply } from '../wire/reply.js'
import { Request } from '../wire/request.js'
import type { ContentReader } from './content-reader.js'
import { DispatcherPool } from './dispatcher-pool.js'
import { KernelCache } from './kernel-cache.js'
import type { CompleteIndex } from './parked-requests.js'
import { type HeadListener, MissServer } from './miss-server.js'
import { sendNotification } from './notification.js'
import { RecordedSlots } from './recorded-slots.js'
import { type ServerCounts, ServerStats, StatsRow } from './server-stats.js'

export interface FuseServerOptions {
  /** /dev/fuse, mounted at `mountpoint`. Stays the caller's; must stay open until the server has ended. */
  readonly fd: number
  readonly mountpoint: string
  readonly trees: TreeSourceSpec
  /** Threads that answer requests. Default 2. */
  readonly dispatchers?: number
  /** What an earlier server of this mount got from `onInit`: the session is taken over. */
  readonly negotiated?: NegotiatedInit
  /** Logs every request and reply at level debug. Default false. */
  readonly trace?: boolean
}

export interface FuseServerModules {
  readonly content: ContentReader
  readonly log: Log
  /**
   * Called before INIT is answered, once in the life of a mount. Keep the result with the
   * descriptor: a server that takes over needs it.
   */
  readonly onInit?: (negotiated: NegotiatedInit) => void | Promise<void>
  readonly onHead?: HeadListener
  /** Needed where trees may be registered before their whole index is here. */
  readonly completeIndex?: CompleteIndex
}

export interface StopOptions {
  /** How long to wait for reads in flight and for the threads. Default 5 s. */
  readonly timeoutMs?: number
}

/** A READ: `sizeBytes` from `offset` of the file, which may reach beyond its end. */
export type ReadListener = (ino: number, offset: number, sizeBytes: number) => void

/** A name is looked for in a directory, or its names are listed. */
export type LookListener = (ino: number) => void

const read = promisify(readCallback)
const write = promisify(writeCallback)
const DEFAULT_DISPATCHERS = 2
const DEFAULT_STOP_TIMEOUT_MS = 5000
const INIT_TIMEOUT_MS = 10_000

export class FuseServer {
  /** Resolves when the last dispatcher has ended: after `stop`, or because the mount is gone. */
  readonly ended: Promise<void>
  readonly negotiated: NegotiatedInit
  /** For whoever knows better than the kernel what is read next. */
  readonly kernelCache: KernelCache
  readonly #fd: number
  readonly #mountpoint: string
  readonly #log: Log
  readonly #trees: TreeSource
  readonly #changes: SharedArrayBuffer
  readonly #stats: ServerStats
  readonly #misses: MissServer
  readonly #recorded = new RecordedSlots()
  readonly #watched = new RecordedSlots()
  readonly #listeners = new Map<number, ReadListener>()
  readonly #lookListeners = new Map<number, LookListener>()
  readonly #pool: DispatcherPool
  /** Set by `stop`: until when. */
  #deadline: number | undefined
  #stopped: Promise<boolean> | undefined

  private constructor(
    options: FuseServerOptions,
    modules: FuseServerModules,
    parts: {
      negotiated: NegotiatedInit
      trees: TreeSource
      changes: SharedArrayBuffer
      standIn: boolean
    },
  ) {
    const { fd, mountpoint, trees: spec, trace = false } = options
    const { content, log, completeIndex = noPartialIndex, onHead } = modules
    const count = options.dispatchers ?? DEFAULT_DISPATCHERS
    this.#fd = fd
    this.#mountpoint = mountpoint
    this.#log = log
    this.negotiated = parts.negotiated
    this.#trees = parts.trees
    this.#changes = parts.changes
    this.#stats = new ServerStats(count)
    const own = new StatsRow(this.#stats.shared, 0)
    this.kernelCache = new KernelCache({ fd }, { stats: own, log })
    const root = spec.kind === 'registry' ? 'trees' : 'tree'
    this.#misses = new MissServer(
      { fd },
      {
        filesystem: new Filesystem({ root }, { trees: parts.trees }),
        ...{ content, completeIndex, onHead },
        stats: own,
        log,
        announce: (message) => {
          this.#pool.announce(message)
        },
      },
    )
    const { shared: stats } = this.#stats
    const wakePrefix = `.thin-wake-${randomBytes(12).toString('hex')}-`
    this.#pool = new DispatcherPool(
      {
        data: {
          ...{ fd, trees: spec, changes: parts.changes, wakePrefix, stats, trace },
          recorded: this.#recorded.shared,
          watched: this.#watched.shared,
        },
        count,
        standIn: parts.standIn,
      },
      {
        ...{ log, completeIndex },
        trees: parts.trees,
        misses: this.#misses,
        onRecorded: (recorded) => {
          const { slot, ino } = recorded
          if (recorded.kind === 'look') this.#lookListeners.get(slot)?.(ino)
          else this.#listeners.get(slot)?.(ino, recorded.offset, recorded.size)
        },
      },
    )
    this.ended = this.#pool.ended.then(() => this.#finish())
  }

  /**
   * Starts serving. Without `negotiated` this waits for INIT and answers it; with it, requests that
   * an earlier server left unanswered are asked for again. Throws `protocol`, `tree-unavailable` or
   * whatever `onInit` throws; then nothing was started and the mount is as it was. Resolves when
   * requests are answered: by threads, or where a registry has no tree of this class yet, without.
   */
  static async start(options: FuseServerOptions, modules: FuseServerModules): Promise<FuseServer> {
    const { fd } = options
    const changes = new SharedArrayBuffer(4)
    const trees = openTreeSource(options.trees, changes)
    try {
      const negotiated = options.negotiated ?? (await answerInit(fd, modules))
      // Before the first dispatcher reads: what they have in hand must not be sent again.
      if (options.negotiated?.flags.includes('HAS_RESEND') === true) {
        await write(fd, encodeNotifyResend())
      }
      const standIn = options.trees.kind === 'registry' && trees.after(0, 1).length === 0
      const server = new FuseServer(options, modules, { negotiated, trees, changes, standIn })
      if (standIn) return server
      await server.startThreads()
      if (server.#pool.broken) {
        await server.ended
        throw new FusefsError(
          'tree-unavailable',
          `serve ${options.mountpoint}: no dispatcher thread could start; the log says why`,
        )
      }
      return server
    } catch (error) {
      trees.close()
      throw error
    }
  }

  /**
   * To be called when the first tree is about to be registered; idempotent. Resolves when all threads
   * read requests. Threads load their code through libuv's pool, and who stands in for them waits
   * there: whoever in this process uses the mount before can fill that pool with calls that wait for
   * an answer which then never comes.
   */
  startThreads(): Promise<void> {
    this.kernelCache.start()
    return this.#pool.start()
  }

  /** Counters since this server started. */
  counts(): ServerCounts {
    return this.#stats.counts()
  }

  /** Requests waiting for content or for an index. */
  get pendingReads(): number {
    return this.#misses.pending + this.#pool.parked
  }

  /**
   * Tells `listener` each READ of the tree in `slot`, as the kernel asks it, until the function that
   * is returned has been called. One listener for each tree: a later one replaces it.
   */
  recordReads(slot: number, listener: ReadListener): () => void {
    this.#listeners.set(slot, listener)
    this.#recorded.add(slot)
    return () => {
      if (this.#listeners.get(slot) !== listener) return
      this.#listeners.delete(slot)
      this.#recorded.delete(slot)
    }
  }

  /**
   * Tells `listener` each directory of the tree in `slot` in which something is looked for, until the
   * function that is returned has been called. The kernel forgets the names it knows of the tree first, so that
   * it asks for them again. One listener for each tree: a later one replaces it.
   */
  async recordLooks(slot: number, listener: LookListener): Promise<() => void> {
    this.#lookListeners.set(slot, listener)
    this.#watched.add(slot)
    await this.#forgetName(slot)
    return () => {
      if (this.#lookListeners.get(slot) !== listener) return
      this.#lookListeners.delete(slot)
      this.#watched.delete(slot)
    }
  }

  /**
   * To be called after the registry or an index of it changed: threads look again, and the kernel drops its listing of
   * the root. Name the slots that were removed; the kernel then drops their names, too.
   */
  async treesChanged(removedSlots: readonly number[] = []): Promise<void> {
    Atomics.add(new Int32Array(this.#changes), 0, 1)
    const root = nodeIdOf(ROOT_SLOT, ROOT_INO)
    await sendNotification(this.#fd, encodeNotifyInvalidateInode(root), this.#log)
    for (const slot of removedSlots) await this.#forgetName(slot)
  }

  /**
   * Ends the dispatchers and leaves the mount: whoever uses it waits for the next server. Reads in
   * flight get `timeoutMs` to finish and are then left to the next server. True when all threads
   * ended; false when they did not in time, and the process can only be ended with SIGKILL. Idempotent.
   */
  stop(options: StopOptions = {}): Promise<boolean> {
    this.#stopped ??= this.#stop(options.timeoutMs ?? DEFAULT_STOP_TIMEOUT_MS)
    return this.#stopped
  }

  async #stop(timeoutMs: number): Promise<boolean> {
    this.#deadline = Date.now() + timeoutMs
    await Promise.race([this.kernelCache.close(), sleep(timeoutMs)])
    this.#pool.askToEnd()
    for (let turn = 0; this.#pool.running > 0 && this.#leftMs() > 0; turn++) {
      // One wake-up ends one dispatcher, whichever reads it; the others go on answering meanwhile.
      const path = join(this.#mountpoint, `${this.#pool.wakePrefix}${turn}`)
      const before = this.#pool.running
      const woken = stat(path).catch(() => undefined)
      await Promise.race([woken, this.#pool.ended, sleep(this.#leftMs())])
      await this.#pool.fewerThan(before, this.#leftMs())
    }
    if (this.#pool.running > 0) {
      this.#misses.abandon()
      this.#pool.abandon()
      this.#log.error({ mountpoint: this.#mountpoint }, 'dispatchers did not end in time')
      return false
    }
    await this.ended
    return true
  }

  /** Of a tree, and with it all names below that nobody uses. */
  async #forgetName(slot: number): Promise<void> {
    const root = nodeIdOf(ROOT_SLOT, ROOT_INO)
    const name = Buffer.from(nameOfSlot(slot), 'latin1')
    await sendNotification(this.#fd, encodeNotifyInvalidateEntry(root, name), this.#log)
  }

  /** After the last dispatcher: what is still waiting for content may finish if we were asked to stop. */
  async #finish(): Promise<void> {
    if (this.#deadline !== undefined) {
      await Promise.race([this.#misses.drained(), sleep(this.#leftMs())])
      const { pending } = this.#misses
      if (pending > 0) this.#log.warn({ pending }, 'reads in flight are left to the next server')
    }
    this.#misses.abandon()
    this.#pool.abandon()
    void this.kernelCache.close()
    this.#trees.close()
  }

  #leftMs(): number {
    return Math.max(0, (this.#deadline ?? 0) - Date.now())
  }
}

function noPartialIndex(slot: number): Promise<never> {
  const message = `tree ${slot}: only a part of its index is here, and nobody brings the rest`
  return Promise.reject(new FusefsError('tree-unavailable', message))
}

async function answerInit(fd: number, modules: FuseServerModules): Promise<NegotiatedInit> {
  const request = new Request()
  const arrived = read(fd, request.buffer, 0, request.buffer.length, null)
  const first = await Promise.race([arrived, sleep(INIT_TIMEOUT_MS)])
  if (first === undefined) {
    throw new FusefsError('protocol', `no INIT within ${INIT_TIMEOUT_MS} ms: is anything mounted?`)
  }
  request.load(first.bytesRead)
  if (request.opcode !== OPCODES.INIT) {
    throw new FusefsError(
      'protocol',
      `the first request of a FUSE session is INIT, not ${request.opcode}: this one was begun ` +
        'by another server, whose negotiated INIT is missing',
    )
  }
  const negotiated = decodeInit(request)
  // First kept, then said: a mount whose INIT was answered and forgotten is lost.
  await modules.onInit?.(negotiated)
  const reply = new Reply(256)
  reply.begin(request)
  encodeInit(reply, negotiated)
  writeSync(fd, reply.buffer, 0, reply.lengthBytes)
  return negotiated
}

async function sleep(timeoutMs: number): Promise<undefined> {
  await delay(timeoutMs, undefined, { ref: false })
  return undefined
}
