/**
 * Changes the kernel's page cache of a mount's files: drops pages, or stores pages before they are
 * read. A thread of its own stores the pages, for two reasons. The kernel may block the write until
 * a READ that has locked the page is answered, so the thread that answers READs must not write. And
 * a container start stores hundreds of runs; each asynchronous write would cost two thread
 * switches.
 */
import { Worker } from 'node:worker_threads'
import { nodeIdOf } from '../filesystem/node-id.js'
import type { Log } from '../log.js'
import { encodeNotifyInvalidateInode } from '../wire/notify.js'
import { sendNotification, warnOfRefusal } from './notification.js'
import type { StatsRow } from './server-stats.js'
import { MAX_THREAD_REPLACEMENTS } from '../worker-threads.js'

/**
 * A run of pages of one file. `offset` is the start of a page. The run ends at the end of a page or
 * of the file, because the kernel does not keep a page that is incomplete. The run must not reach
 * beyond the end of the file: that would make the file longer.
 */
export interface PageRun {
  readonly ino: number
  /** Where the run begins in the file, in bytes. */
  readonly offset: number
  /** Where the run begins in the bytes that are passed with it. */
  readonly from: number
  readonly length: number
}

export interface StoredPages {
  /** Bytes that the kernel has stored. It stores nothing for an inode that it does not know. */
  readonly storedBytes: number
  /** The bytes that were passed to `store`, for further use. Undefined when the thread broke. */
  readonly bytes: Uint8Array<ArrayBuffer> | undefined
}

/** `workerData` of the thread. */
export interface KernelCacheData {
  readonly fd: number
}

/** A message to the thread, which handles messages one after the other. */
export type KernelCacheRequest =
  | { readonly kind: 'look'; readonly paths: readonly Uint8Array[] }
  | {
      readonly kind: 'store'
      readonly slot: number
      readonly bytes: Uint8Array<ArrayBuffer>
      readonly runs: readonly PageRun[]
    }
  | { readonly kind: 'end' }

/** The thread's reply to a `store` message. Replies come in the order of the messages. */
export interface KernelCacheReply {
  readonly storedBytes: number
  readonly bytes: Uint8Array<ArrayBuffer>
  /** The first unexpected error; undefined when there was none. */
  readonly refusal: unknown
}

const NOTHING_STORED: StoredPages = { storedBytes: 0, bytes: undefined }

export class KernelCache {
  readonly #fd: number
  readonly #modules: { stats: StatsRow; log: Log }
  #thread: Worker | undefined
  #breaks = 0
  #ended: Promise<void> = Promise.resolve()
  /** Resolves the `store` calls that wait for a reply, in order. */
  #waiting: ((stored: StoredPages) => void)[] = []
  #dropping: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** `fd`: /dev/fuse, mounted. The caller closes it. */
  constructor(options: { fd: number }, modules: { stats: StatsRow; log: Log }) {
    this.#fd = options.fd
    this.#modules = modules
  }

  /** Starts the thread once, without waiting for it. Otherwise the first use starts it. */
  start(): void {
    if (this.#thread !== undefined || this.#isClosed || this.#breaks > MAX_THREAD_REPLACEMENTS)
      return
    const workerData: KernelCacheData = { fd: this.#fd }
    const thread = new Worker(new URL('./kernel-cache-worker.js', import.meta.url), {
      workerData,
      name: 'kernel cache',
      // Pages are outside V8's heap, and the few objects in it die young.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
      // The thread must not close the descriptor of /dev/fuse.
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

  /**
   * Makes the kernel drop the attributes and pages of a file. Resolves to false when the kernel
   * does not know the inode, refuses, or after `close`. Never rejects.
   */
  drop(slot: number, ino: number): Promise<boolean> {
    const message = encodeNotifyInvalidateInode(nodeIdOf(slot, ino))
    const dropped = this.#dropping.then(() =>
      this.#isClosed ? false : sendNotification(this.#fd, message, this.#modules.log),
    )
    this.#dropping = dropped
    return dropped
  }

  /**
   * Makes the thread call lstat(2) on files of the mount. The kernel then knows their inodes,
   * without which it stores no pages. `paths` are absolute, in raw bytes. A later `store` is done
   * after this.
   */
  look(paths: readonly Uint8Array[]): void {
    if (paths.length > 0) this.#ask({ kind: 'look', paths })
  }

  /**
   * Stores verified bytes in the page cache. `bytes` are moved to the thread and come back in the
   * result. Never rejects: the kernel reads pages that it did not store when a program needs them.
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

  /** Accepts no further calls, and waits for those under way. Idempotent. */
  async close(): Promise<void> {
    this.#ask({ kind: 'end' })
    this.#isClosed = true
    await this.#dropping
    await this.#ended
  }

  /** Posts a message to the thread. Returns false after `close`, or when there is no thread. */
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
