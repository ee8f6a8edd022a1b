/**
 * Decodes frames in threads of their own, so that the thread that talks to stores and answers misses
 * goes on meanwhile. Buffers change hands, they are not copied. A frame so small that handing it over
 * would take as long is decoded in place, and so is everything while no thread is ready.
 */
import { Worker } from 'node:worker_threads'
import { type Frame, IndexFormatError } from '../../../index-format/index.js'
import { FusefsError } from '../../errors.js'
import type { Log } from '../../log.js'
import { type FrameDecoder, inlineFrameDecoder } from '../frame-decoder.js'
import type { DecodeReply, DecodeRequest } from './decoder-worker.js'
import { MAX_THREAD_REPLACEMENTS } from '../../worker-threads.js'

export interface ThreadFrameDecoderOptions {
  /** At least 1. */
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
  /** In the order in which they were handed over. */
  readonly jobs: Job[]
}

/** Up to here decoding takes about as long as two messages do: some 50 µs. */
const MAX_INLINE_RAW_BYTES = 16 * 1024
/** From here on hashing is worth the copy that WebCrypto makes to do it in another thread. */
const MIN_ASYNC_HASH_BYTES = 128 * 1024
/** Beyond it frames wait here, where they can still be given to whichever thread is free first. */
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

  /** Starts the threads, and does not wait for them. The caller closes it. */
  static start(options: ThreadFrameDecoderOptions, modules: { log: Log }): ThreadFrameDecoder {
    const decoder = new ThreadFrameDecoder(modules.log)
    for (let i = 0; i < options.threads; i++) decoder.#startThread()
    return decoder
  }

  /** Frames handed to threads, and frames that wait for one. */
  get load(): number {
    return [...this.#threads].reduce((sum, { jobs }) => sum + jobs.length, this.#waiting.length)
  }

  /** Takes `compressed` over where it has an ArrayBuffer of its own: it is empty afterwards. */
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

  /** What is under way is rejected with `aborted`. Idempotent. */
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
      // Frames are not in V8's heap; the little that is dies young.
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

  /** What it had been given fails once, as if it had not verified: it is fetched again. */
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

/** In an ArrayBuffer that holds nothing else, so that it can be given away whole. */
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
