/**
 * Serves one FUSE superblock. Dispatcher threads answer requests whose data is local. The server's
 * own thread answers the requests that wait for content or for an index. The server owns neither
 * the mount nor the descriptor; both outlive it. `stop` leaves the mount as it is, and the next
 * server continues with the same descriptor and the negotiated INIT.
 *
 * The serving process must never use the mount with synchronous calls, nor with so many
 * asynchronous calls that no thread of libuv's pool is left for content. Otherwise the process
 * waits for itself.
 *
 * A process whose dispatchers block in read(2) cannot exit, because Node waits for its threads.
 * Call `stop` first, or unmount, or end the process with SIGKILL.
 */
import { randomBytes } from 'node:crypto'
import { read as readCallback, write as writeCallback, writeSync } from 'node:fs'
import { stat, statfs } from 'node:fs/promises'
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
import { DEFAULT_REQUEST_DEADLINE_MS } from '../waiting/request-deadline.js'
import type { ContentReader } from './content-reader.js'
import { DispatcherPool } from './dispatcher-pool.js'
import { KernelCache } from './kernel-cache.js'
import type { CompleteIndex } from './parked-requests.js'
import { type HeadListener, MissServer } from './miss-server.js'
import { sendNotification } from './notification.js'
import { RecordedSlots } from './recorded-slots.js'
import { type ServerCounts, ServerStats, StatsRow } from './server-stats.js'

export interface FuseServerOptions {
  /** /dev/fuse, mounted at `mountpoint`. The caller closes it, after the server has ended. */
  readonly fd: number
  readonly mountpoint: string
  readonly trees: TreeSourceSpec
  /**
   * Longest time from a request of the kernel to its answer. After this time the program gets EIO.
   * Default 60,000.
   */
  readonly deadlineMs?: number | undefined
  /** Number of dispatcher threads. Default 2. */
  readonly dispatchers?: number
  /**
   * The value that an earlier server of this mount passed to `onInit`. With it, this server takes
   * the session over and does not wait for INIT.
   */
  readonly negotiated?: NegotiatedInit
  /** Logs every request and reply at level debug. Default false. */
  readonly trace?: boolean
}

export interface FuseServerModules {
  readonly content: ContentReader
  readonly log: Log
  /**
   * Called before INIT is answered, once in the life of a mount. Keep `negotiated` together with
   * the descriptor: a server that takes the mount over needs it.
   */
  readonly onInit?: (negotiated: NegotiatedInit) => void | Promise<void>
  readonly onHead?: HeadListener
  /**
   * Needed when trees may be registered before their whole index has arrived. Without it, requests
   * that need the rest of an index fail.
   */
  readonly completeIndex?: CompleteIndex
}

export interface StopOptions {
  /** How long to wait for reads in flight and for the threads. Default 5 s. */
  readonly timeoutMs?: number
}

/** Called for a READ of the file `ino`. The range may reach beyond the end of the file. */
export type ReadListener = (ino: number, offset: number, sizeBytes: number) => void

/** Called when a name is looked up in the directory `ino`, or when its names are listed. */
export type LookListener = (ino: number) => void

const read = promisify(readCallback)
const write = promisify(writeCallback)
const DEFAULT_DISPATCHERS = 2
const DEFAULT_STOP_TIMEOUT_MS = 5000
const INIT_TIMEOUT_MS = 10_000

export class FuseServer {
  /**
   * Resolves when the last dispatcher has ended, after `stop` or because the mount is gone, and the
   * server has closed its trees.
   */
  readonly ended: Promise<void>
  readonly negotiated: NegotiatedInit
  /** Changes the kernel's page cache of this mount, for callers that know the next reads. */
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
  /** When `stop` gives up, in milliseconds since 1970. Undefined before `stop`. */
  #deadline: number | undefined
  #stopped: Promise<boolean> | undefined
  #hasThreads = false

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
    const { deadlineMs = DEFAULT_REQUEST_DEADLINE_MS } = options
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
      { fd, deadlineMs },
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
        deadlineMs,
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
   * Starts serving. Without `negotiated`, it waits at most 10 s for INIT and answers it. With
   * `negotiated`, it asks the kernel to send the requests again that an earlier server left
   * unanswered. Resolves when requests are answered: by threads or, while a registry has no tree of
   * this class, without threads. Throws `protocol`, `tree-unavailable` or what `onInit` throws.
   * Then nothing is left running, and the mount stays.
   */
  static async start(options: FuseServerOptions, modules: FuseServerModules): Promise<FuseServer> {
    const { fd } = options
    const changes = new SharedArrayBuffer(4)
    const trees = openTreeSource(options.trees, changes)
    try {
      const negotiated = options.negotiated ?? (await answerInit(fd, modules))
      // Ask before the first dispatcher reads, because requests that a dispatcher is answering must
      // not be sent again.
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
   * Starts the dispatcher threads. Call this before the first tree is registered. Idempotent.
   * Resolves when all threads read requests, or when all have ended. Until then this process must
   * not use the mount. The threads load their code through libuv's pool, and the stand-in reads
   * requests in it. Calls that use the mount could fill that pool and would then wait for ever.
   */
  async startThreads(): Promise<void> {
    this.kernelCache.start()
    await this.#pool.start()
    this.#hasThreads = true
  }

  /**
   * Resolves when a thread has answered a request through the mount. Never resolves if all threads
   * hang. Resolves at once before the threads have started, and after `stop`.
   */
  async answered(): Promise<void> {
    if (!this.#hasThreads || this.#stopped !== undefined) return
    // An error means that the mount is gone. Other code notices that.
    await statfs(this.#mountpoint).catch(() => undefined)
  }

  /** Counters since this server started. */
  counts(): ServerCounts {
    return this.#stats.counts()
  }

  /** Number of requests that wait for content or for an index. */
  get pendingReads(): number {
    return this.#misses.pending + this.#pool.parked
  }

  /**
   * Calls `listener` for each READ that the kernel sends for the tree in `slot`, until the returned
   * function is called. A tree has one such listener: a later one replaces it.
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
   * Calls `listener` for each lookup and each listing in a directory of the tree in `slot`, until
   * the returned function is called. Before it resolves, the kernel is told to forget the names of
   * the tree, so that it asks for them again. A tree has one such listener: a later one replaces
   * it.
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
   * Call this after the registry or one of its indexes has changed. The threads then read the
   * registry again, and the kernel drops its listing of the root. `removedSlots`: the slots of
   * removed trees, whose names the kernel drops, too. Default none.
   */
  async treesChanged(removedSlots: readonly number[] = []): Promise<void> {
    Atomics.add(new Int32Array(this.#changes), 0, 1)
    const root = nodeIdOf(ROOT_SLOT, ROOT_INO)
    await sendNotification(this.#fd, encodeNotifyInvalidateInode(root), this.#log)
    for (const slot of removedSlots) await this.#forgetName(slot)
  }

  /**
   * Ends the dispatchers and leaves the mount. Programs that use the mount then wait for the next
   * server. Reads in flight get `timeoutMs` to finish and are then left to the next server.
   * Resolves to true when all threads have ended. False: some did not end in time, and only SIGKILL
   * can end the process. Idempotent.
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
      // One wake-up ends the dispatcher that reads it. The others go on answering requests.
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

  /** Makes the kernel drop the name of a tree, and with it all unused names below. */
  async #forgetName(slot: number): Promise<void> {
    const root = nodeIdOf(ROOT_SLOT, ROOT_INO)
    const name = Buffer.from(nameOfSlot(slot), 'latin1')
    await sendNotification(this.#fd, encodeNotifyInvalidateEntry(root, name), this.#log)
  }

  /** Runs after the last dispatcher. After `stop`, waiting reads get the rest of its time. */
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
  // The result must be stored before INIT is answered. If it were lost afterwards, no other server
  // could take the mount over.
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
