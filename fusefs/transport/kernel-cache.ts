/**
 * What the kernel caches of a mount's files, changed from our side: pages are dropped, or put there
 * before anybody asks. Pages are put there by a thread of its own: the kernel may let it wait for a
 * page that a READ has locked, and whoever answers that READ must not wait with it; and a start puts
 * hundreds of pieces there, each of which would cost two changes of threads.
 */
import { Worker } from 'node:worker_threads'
import { nodeIdOf } from '../filesystem/node-id.js'
import type { Log } from '../log.js'
import { encodeNotifyInvalidateInode } from '../wire/notify.js'
import { sendNotification, warnOfRefusal } from './notification.js'
import type { StatsRow } from './server-stats.js'
import { MAX_THREAD_REPLACEMENTS } from '../worker-threads.js'

/**
 * Pages of one file. `offset` is a page's start, and the run ends at a page's end or at the file's: of
 * any other page the kernel keeps nothing. It must not reach beyond the file's end, which would make
 * the file longer.
 */
export interface PageRun {
  readonly ino: number
  /** Where in the file. */
  readonly offset: number
  /** Where in the bytes that are handed over with it. */
  readonly from: number
  readonly length: number
}

export interface StoredPages {
  /** How much of the runs the kernel has taken: nothing of files that it does not know. */
  readonly storedBytes: number
  /** What was handed over, for further use; undefined where the thread has lost it. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined
}

/** What the thread is started with. */
export interface KernelCacheData {
  readonly fd: number
}

/** The thread does one after the other. */
export type KernelCacheRequest =
  | { readonly kind: 'look'; readonly paths: readonly Uint8Array[] }
  | {
      readonly kind: 'store'
      readonly slot: number
      readonly bytes: Uint8Array<ArrayBuffer>
      readonly runs: readonly PageRun[]
    }
  | { readonly kind: 'end' }

/** To each `store`, in order. */
export interface KernelCacheReply {
  readonly storedBytes: number
  readonly bytes: Uint8Array<ArrayBuffer>
  /** The first error that is not to be expected. */
  readonly refusal: unknown
}

const NOTHING_STORED: StoredPages = { storedBytes: 0, bytes: undefined }

export class KernelCache {
  readonly #fd: number
  readonly #modules: { stats: StatsRow; log: Log }
  #thread: Worker | undefined
  #breaks = 0
  #ended: Promise<void> = Promise.resolve()
  /** Who waits for the thread's replies, in order. */
  #waiting: ((stored: StoredPages) => void)[] = []
  #dropping: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** `fd`: /dev/fuse, mounted; stays the caller's. */
  constructor(options: { fd: number }, modules: { stats: StatsRow; log: Log }) {
    this.#fd = options.fd
    this.#modules = modules
  }

  /** Starts the thread, once, and does not wait for it. Else it starts with the first use. */
  start(): void {
    if (this.#thread !== undefined || this.#isClosed || this.#breaks > MAX_THREAD_REPLACEMENTS)
      return
    const workerData: KernelCacheData = { fd: this.#fd }
    const thread = new Worker(new URL('./kernel-cache-worker.js', import.meta.url), {
      workerData,
      name: 'kernel cache',
      // Pages are not in V8's heap; the little that is dies young.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
      // The descriptor of /dev/fuse is not a thread's to close.
      trackUnmanagedFds: false,
    })
    this.#thread = thread
    thread.on('message', (reply: KernelCacheReply) => {
      this.#receive(reply)
    })
    thread.on('error', (error) => {
      this.#breaks++
      this.#modules.log.error({ err: error }, 'the thread that puts pages into the kernel broke')
    })
    this.#ended = new Promise((resolve) => {
      thread.on('exit', () => {
        this.#thread = undefined
        for (const done of this.#waiting.splice(0)) done(NOTHING_STORED)
        resolve()
      })
    })
  }

  /** Drops attributes and pages of a file. False where the kernel has none. Never throws. */
  drop(slot: number, ino: number): Promise<boolean> {
    const message = encodeNotifyInvalidateInode(nodeIdOf(slot, ino))
    const dropped = this.#dropping.then(() =>
      this.#isClosed ? false : sendNotification(this.#fd, message, this.#modules.log),
    )
    this.#dropping = dropped
    return dropped
  }

  /**
   * Looks at files of the mount, so that the kernel knows their inodes: pages can be stored for no
   * others. Absolute paths, raw bytes. What is stored afterwards is stored after that.
   */
  look(paths: readonly Uint8Array[]): void {
    if (paths.length > 0) this.#ask({ kind: 'look', paths })
  }

  /**
   * Puts verified bytes into the page cache. `bytes` change hands and come back. Never rejects: what
   * the kernel does not take will be read.
   */
  async store(
    slot: number,
    bytes: Uint8Array<ArrayBuffer>,
    runs: readonly PageRun[],
  ): Promise<StoredPages> {
    if (!this.#ask({ kind: 'store', slot, bytes, runs }, [bytes.buffer])) {
      return { ...NOTHING_STORED, bytes }
    }
    const stored = await new Promise<StoredPages>((resolve) => this.#waiting.push(resolve))
    if (stored.storedBytes > 0) this.#modules.stats.countBytesStored(stored.storedBytes)
    return stored
  }

  /** Sends nothing any more, and waits for what is on its way. Idempotent. */
  async close(): Promise<void> {
    this.#ask({ kind: 'end' })
    this.#isClosed = true
    await this.#dropping
    await this.#ended
  }

  /** False where it is too late, or no thread is left that would do it. */
  #ask(request: KernelCacheRequest, transfer: ArrayBuffer[] = []): boolean {
    if (this.#isClosed) return false
    if (request.kind !== 'end') this.start()
    if (this.#thread === undefined) return false
    this.#thread.postMessage(request, transfer)
    return true
  }

  #receive({ storedBytes, bytes, refusal }: KernelCacheReply): void {
    this.#waiting.shift()?.({ storedBytes, bytes })
    if (refusal !== undefined) warnOfRefusal(refusal, this.#modules.log)
  }
}
