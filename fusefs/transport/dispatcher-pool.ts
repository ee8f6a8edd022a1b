/**
 * The dispatcher threads of one server. The pool starts them, receives their messages, replaces a
 * thread that breaks, and tells when all have ended. It can also answer requests without threads
 * until they are started.
 */
import type { Worker } from 'node:worker_threads'
import type { Log } from '../log.js'
import type { TreeSource } from '../trees/tree-source.js'
import type { Dispatcher } from './dispatcher.js'
import type {
  DispatcherData,
  DispatcherMessage,
  MirrorMessage,
  ParkedRequest,
  RecordedLook,
  RecordedRead,
} from './dispatcher-messages.js'
import { startDispatcherThread } from './dispatcher-threads.js'
import type { MissServer } from './miss-server.js'
import { type CompleteIndex, ParkedRequests } from './parked-requests.js'
import { StatsRow } from './server-stats.js'
import { openDispatcher } from './open-dispatcher.js'
import { standIn } from './stand-in.js'
import { MAX_THREAD_REPLACEMENTS } from '../worker-threads.js'

export interface DispatcherPoolOptions {
  /** The data that is the same for all threads. */
  readonly data: Omit<DispatcherData, 'statsRow' | 'stopping'>
  /** Number of threads. */
  readonly count: number
  /** Whether to answer requests without threads until `start`. Otherwise threads start at once. */
  readonly standIn: boolean
  /** Longest time from a request that waits for an index to its answer. */
  readonly deadlineMs: number
}

export interface DispatcherPoolModules {
  readonly log: Log
  readonly misses: MissServer
  /** The trees for requests that are answered on the server's own thread. The caller closes it. */
  readonly trees: TreeSource
  readonly completeIndex: CompleteIndex
  /** Called for each READ, lookup and listing that is recorded. */
  readonly onRecorded: (recorded: RecordedRead | RecordedLook) => void
}

export class DispatcherPool {
  /** Resolves when no dispatcher is left: all threads and the stand-in have ended. */
  readonly ended: Promise<void>
  readonly wakePrefix: string
  readonly #options: DispatcherPoolOptions
  readonly #modules: DispatcherPoolModules
  readonly #stopping = new SharedArrayBuffer(4)
  readonly #threads = new Set<Worker>()
  readonly #onExit = new Set<() => void>()
  readonly #ready: Promise<void>
  readonly #parked: ParkedRequests
  #replacements = 0
  #starting: number
  #isStarted = false
  #isStandingIn: boolean
  #finish: () => void = () => undefined
  #started: () => void = () => undefined

  constructor(options: DispatcherPoolOptions, modules: DispatcherPoolModules) {
    this.#options = options
    this.#modules = modules
    this.wakePrefix = options.data.wakePrefix
    this.ended = new Promise((resolve) => {
      this.#finish = resolve
    })
    const { completeIndex, log } = modules
    this.#parked = new ParkedRequests(options, {
      ...{ completeIndex, log },
      stats: new StatsRow(options.data.stats, 0),
      openDispatcher: () =>
        this.#ownDispatcher((parked) => {
          this.#parked.giveUp(parked)
        }),
    })
    this.#starting = options.count
    const allStarted = new Promise<void>((resolve) => {
      this.#started = resolve
    })
    this.#ready = Promise.race([allStarted, this.ended])
    this.#isStandingIn = options.standIn
    if (options.standIn) void this.#standIn()
    else void this.start()
  }

  /** Number of dispatchers: the threads, and the stand-in while it answers requests. */
  get running(): number {
    return this.#threads.size + (this.#isStandingIn ? 1 : 0)
  }

  /** Starts the threads, once. Resolves when all threads read requests, or when all have ended. */
  start(): Promise<void> {
    if (!this.#isStarted) {
      this.#isStarted = true
      this.#modules.misses.forgetAnnounced()
      for (let row = 1; row <= this.#options.count; row++) this.#start(row)
    }
    return this.#ready
  }

  /** Whether no dispatcher is left because threads broke too often to be replaced again. */
  get broken(): boolean {
    return this.running === 0 && this.#replacements === MAX_THREAD_REPLACEMENTS
  }

  /** From now on a dispatcher that reads a wake-up ends. */
  askToEnd(): void {
    Atomics.store(new Int32Array(this.#stopping), 0, 1)
  }

  /** Number of requests that wait for an index. */
  get parked(): number {
    return this.#parked.pending
  }

  /** Leaves requests that wait for an index to the next server. */
  abandon(): void {
    this.#parked.abandon()
  }

  /** Sends a mirror to all threads. */
  announce(message: MirrorMessage): void {
    for (const thread of this.#threads) thread.postMessage(message)
  }

  /** Resolves once fewer than `count` dispatchers are running, or after `timeoutMs`. */
  async fewerThan(count: number, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs
    while (this.running >= count && Date.now() < deadline) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, Math.max(0, deadline - Date.now()))
        const onExit = this.#onExit
        onExit.add(done)
        function done(): void {
          clearTimeout(timer)
          onExit.delete(done)
          resolve()
        }
      })
    }
  }

  #start(row: number): void {
    const data: DispatcherData = {
      ...this.#options.data,
      stopping: this.#stopping,
      statsRow: row,
    }
    const thread = startDispatcherThread(data)
    this.#threads.add(thread)
    thread.on('message', (message: DispatcherMessage) => {
      this.#receive(message)
    })
    let failed = false
    thread.on('error', (error) => {
      failed = true
      this.#modules.log.error({ err: error, row }, 'a FUSE dispatcher thread broke')
    })
    thread.on('exit', () => {
      this.#threads.delete(thread)
      if (failed && this.#replacements < MAX_THREAD_REPLACEMENTS) this.#replace(row)
      this.#oneEnded()
    })
  }

  async #standIn(): Promise<void> {
    const { fd } = this.#options.data
    const { log } = this.#modules
    const dispatcher = this.#ownDispatcher((parked) => {
      this.#parked.take(parked)
    })
    try {
      await standIn(fd, dispatcher, () => this.#starting <= 0)
    } catch (error) {
      log.error({ err: error }, 'requests can only be answered by threads')
      void this.start()
    }
    this.#isStandingIn = false
    this.#oneEnded()
  }

  /** A dispatcher that runs on the server's own thread. */
  #ownDispatcher(park: (parked: ParkedRequest) => void): Dispatcher {
    const data = { ...this.#options.data, stopping: this.#stopping, statsRow: 0 }
    const post = (message: DispatcherMessage): void => {
      if (message.kind === 'parked') park(message)
      else this.#receive(message)
    }
    return openDispatcher(data, { trees: this.#modules.trees, post, receive: () => undefined })
  }

  #oneEnded(): void {
    for (const done of [...this.#onExit]) done()
    if (this.running === 0) this.#finish()
  }

  #replace(row: number): void {
    this.#replacements++
    this.#modules.misses.forgetAnnounced()
    this.#start(row)
  }

  #receive(message: DispatcherMessage): void {
    const { log, misses } = this.#modules
    switch (message.kind) {
      case 'ready':
        if (--this.#starting === 0) this.#started()
        return
      case 'miss':
        misses.take(message, this.#parked.waitedMs)
        return
      case 'read':
      case 'look':
        this.#modules.onRecorded(message)
        return
      case 'parked':
        this.#parked.take(message)
        return
      case 'forgotten':
        misses.forgetMirror(message.slot, message.pack)
        return
      case 'interrupt':
        misses.interrupt(message.unique)
        this.#parked.interrupt(message.unique)
        return
      case 'fault':
        log.error({ err: message.error, request: message.request }, 'a request was answered EIO')
        return
      case 'trace':
        log.debug({}, message.line)
        return
      case 'ended':
        log.debug({ reason: message.reason }, 'a FUSE dispatcher thread ended')
        return
    }
  }
}
