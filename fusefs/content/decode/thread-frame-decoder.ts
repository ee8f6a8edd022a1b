/**
 * Decodes frames in threads of their own, so that the thread that talks to stores and answers
 * misses can go on. Buffers are moved between threads and not copied. A small frame is decoded on
 * the calling thread, because handing it over would take as long. While no thread is ready, all
 * frames are decoded on the calling thread.
 */
import { Worker } from 'node:worker_threads'
import { type Frame, IndexFormatError } from '../../../index-format/index.js'
import { FusefsError } from '../../errors.js'
import type { Log } from '../../log.js'
import { type FrameDecoder, inlineFrameDecoder } from '../frame-decoder.js'
import type { DecodeReply, DecodeRequest } from './decoder-worker.js'
import { MAX_THREAD_REPLACEMENTS } from '../../worker-threads.js'

export interface ThreadFrameDecoderOptions {
  /** Number of threads, at least 1. */
  readonly threads: number
}

interface Job {
  readonly frame: Frame
  readonly resolve: (raw: Uint8Array) => void
  readonly reject: (error: unknown) => void
}

interface Thread {
  readonly worker: Worker
  isReady: boolean
  /** The frames that were handed to the thread, in this order. */
  readonly jobs: Job[]
}

/** Up to this size, decoding takes about as long as two messages between threads: some 50 µs. */
const MAX_INLINE_RAW_BYTES = 16 * 1024
/** From this size on, hashing in another thread is worth the copy that WebCrypto makes for it. */
const MIN_ASYNC_HASH_BYTES = 128 * 1024
/** Frames that one thread gets at a time. Others wait, and go to the first thread that is free. */
const MAX_JOBS_PER_THREAD = 2

export class ThreadFrameDecoder implements FrameDecoder {
  readonly #log: Log
  readonly #threads = new Set<Thread>()
  readonly #waiting: (Job & { readonly compressed: Uint8Array })[] = []
  #replacements = 0
  #closing: Promise<void> | undefined

  private constructor(log: Log) {
    this.#log = log
  }

  /** Starts the threads and does not wait for them. The caller closes the decoder. */
  static start(options: ThreadFrameDecoderOptions, modules: { log: Log }): ThreadFrameDecoder {
    const decoder = new ThreadFrameDecoder(modules.log)
    for (let i = 0; i < options.threads; i++) decoder.#startThread()
    return decoder
  }

  /** Number of frames that were handed to threads or wait for a thread. */
  get load(): number {
    return [...this.#threads].reduce((sum, { jobs }) => sum + jobs.length, this.#waiting.length)
  }

  /**
   * Takes over `compressed`. When it has an ArrayBuffer of its own, it may be empty afterwards.
   * Rejects with `fetch-failed` when the thread breaks, and with `aborted` when the decoder is
   * closed.
   */
  decode(frame: Frame, compressed: Uint8Array): Promise<Uint8Array> {
    if (this.#closing !== undefined) return Promise.reject(closedError())
    const isAnyReady = [...this.#threads].some(({ isReady }) => isReady)
    if (frame.rawSizeBytes <= MAX_INLINE_RAW_BYTES || !isAnyReady) {
      return inlineFrameDecoder.decode(frame, compressed)
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ frame, compressed, resolve, reject })
      this.#handOver()
    })
  }

  async verify(frame: Frame, raw: Uint8Array): Promise<boolean> {
    if (raw.length !== frame.rawSizeBytes || raw.length < MIN_ASYNC_HASH_BYTES) {
      return inlineFrameDecoder.verify(frame, raw)
    }
    const hash = await crypto.subtle.digest('SHA-256', new Uint8Array(raw))
    return `sha256:${Buffer.from(hash).toString('hex')}` === frame.digest
  }

  /** Ends the threads. Frames under way are rejected with `aborted`. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const jobs = [...this.#threads].flatMap((thread) => thread.jobs.splice(0))
    for (const job of [...jobs, ...this.#waiting.splice(0)]) job.reject(closedError())
    await Promise.all([...this.#threads].map(({ worker }) => worker.terminate()))
  }

  #handOver(): void {
    while (this.#waiting.length > 0) {
      const ready = [...this.#threads].filter(({ isReady }) => isReady)
      const [thread] = ready.sort((a, b) => a.jobs.length - b.jobs.length)
      if (thread === undefined || thread.jobs.length >= MAX_JOBS_PER_THREAD) return
      const next = this.#waiting.shift()
      if (next === undefined) return
      thread.jobs.push(next)
      const { frame, compressed } = next
      const own = ownBytes(compressed)
      const request: DecodeRequest = { frame, compressed: own }
      thread.worker.postMessage(request, [own.buffer])
    }
  }

  #startThread(): void {
    const worker = new Worker(new URL('./decoder-worker.js', import.meta.url), {
      name: 'frame decoder',
      // Frames are outside V8's heap, and the few objects in it die young.
      resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
    })
    const thread: Thread = { worker, isReady: false, jobs: [] }
    this.#threads.add(thread)
    worker.on('message', (reply: DecodeReply) => {
      this.#receive(thread, reply)
    })
    let failure: unknown
    worker.on('error', (error) => {
      failure = error
      this.#log.error({ err: error }, 'a thread that decodes frames broke')
    })
    worker.on('exit', () => {
      this.#ended(thread, failure)
    })
  }

  #receive(thread: Thread, reply: DecodeReply): void {
    if (reply.kind === 'ready') {
      thread.isReady = true
      return
    }
    const job = thread.jobs.shift()
    this.#handOver()
    if (reply.kind === 'raw') job?.resolve(reply.raw)
    else if (reply.code === undefined) job?.reject(new Error(reply.message))
    else job?.reject(new IndexFormatError(reply.code, reply.message))
  }

  /** Frames given to the thread fail as if they had not verified, and are fetched again. */
  #ended(thread: Thread, failure: unknown): void {
    this.#threads.delete(thread)
    if (this.#closing !== undefined) return
    const cause = failure ?? new Error('the thread ended')
    for (const { frame, reject } of thread.jobs.splice(0)) {
      const message = `frame at ${frame.offset}: the thread that decoded it broke`
      reject(new FusefsError('fetch-failed', message, { cause }))
    }
    if (this.#replacements++ < MAX_THREAD_REPLACEMENTS) this.#startThread()
    const isAnyLeft = [...this.#threads].some(({ isReady }) => isReady)
    const stranded = isAnyLeft ? [] : this.#waiting.splice(0)
    for (const { frame, compressed, resolve, reject } of stranded) {
      inlineFrameDecoder.decode(frame, compressed).then(resolve, reject)
    }
  }
}

/** The bytes in an ArrayBuffer that holds nothing else, so that it can be moved to a thread. */
function ownBytes(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength === bytes.byteLength) {
    return new Uint8Array(buffer)
  }
  return new Uint8Array(bytes)
}

function closedError(): FusefsError {
  return new FusefsError('aborted', 'the frame decoder is closed')
}
