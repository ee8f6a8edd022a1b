/**
 * Compresses frames in worker threads. Buffers are transferred both ways, not copied; each thread
 * has two frames at most, so that it never waits for the next and memory stays bounded.
 */
import { Worker } from 'node:worker_threads'
import { IndexFormatError } from '../errors.js'
import type { CompressReply, CompressRequest } from './compressor-worker.js'
import type { FrameCompressor } from './frame-compressor.js'

interface Waiter {
  readonly thread: Thread
  resolve(compressed: Uint8Array): void
  reject(cause: Error): void
}

interface Thread {
  readonly worker: Worker
  inFlight: number
}

const FRAMES_PER_THREAD = 2

export class ThreadCompressor implements FrameCompressor {
  readonly maxInFlight: number
  readonly #threads: Thread[] = []
  readonly #waiters = new Map<number, Waiter>()
  #nextId = 1
  #failure: Error | undefined

  private constructor(threads: number) {
    this.maxInFlight = threads * FRAMES_PER_THREAD
  }

  /** Starts `threads` threads, at least 1. The caller closes it. */
  static start(threads: number): ThreadCompressor {
    const compressor = new ThreadCompressor(Math.max(1, threads))
    for (let count = 0; count < Math.max(1, threads); count++) compressor.#startThread()
    return compressor
  }

  compress(raw: Uint8Array, level: number): Promise<Uint8Array> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    if (this.#waiters.size >= this.maxInFlight) {
      const message = `compress frame: ${this.maxInFlight} frames are under way already`
      return Promise.reject(new IndexFormatError('limit-exceeded', message))
    }
    const [thread] = this.#threads.toSorted((a, b) => a.inFlight - b.inFlight)
    if (thread === undefined) return Promise.reject(new Error('compress frame: no thread'))
    const id = this.#nextId++
    const buffer = ownBuffer(raw)
    return new Promise((resolve, reject) => {
      this.#waiters.set(id, { thread, resolve, reject })
      thread.inFlight++
      const request: CompressRequest = { id, raw: buffer, level }
      thread.worker.postMessage(request, [buffer])
    })
  }

  async close(): Promise<void> {
    this.#fail(new Error('compress frame: the compressor is closed'))
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  #startThread(): void {
    const worker = new Worker(new URL('./compressor-worker.js', import.meta.url))
    this.#threads.push({ worker, inFlight: 0 })
    worker.on('message', (reply: CompressReply) => {
      this.#settle(reply)
    })
    worker.on('error', (cause) => {
      this.#fail(new Error('compress frame: a compressor thread failed', { cause }))
    })
    worker.on('exit', () => {
      this.#fail(new Error('compress frame: a compressor thread ended'))
    })
  }

  #settle(reply: CompressReply): void {
    const waiter = this.#waiters.get(reply.id)
    if (waiter === undefined) return
    this.#waiters.delete(reply.id)
    waiter.thread.inFlight--
    if ('failure' in reply) waiter.reject(new Error(`compress frame: ${reply.failure}`))
    else waiter.resolve(new Uint8Array(reply.compressed))
  }

  #fail(failure: Error): void {
    this.#failure ??= failure
    for (const waiter of this.#waiters.values()) waiter.reject(this.#failure)
    this.#waiters.clear()
  }
}

/** The bytes in an ArrayBuffer of their own; copied only when they share theirs with others. */
function ownBuffer(raw: Uint8Array): ArrayBuffer {
  const { buffer } = raw
  if (buffer instanceof ArrayBuffer && buffer.byteLength === raw.length) return buffer
  return new Uint8Array(raw).buffer
}
