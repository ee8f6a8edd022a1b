/**
 * Compresses frames in worker threads. Each thread has two slots of memory that it shares with the
 * calling thread. So a thread need not wait for the next frame, memory is bounded, and no large
 * buffer is allocated or passed for the raw bytes of a frame.
 */
import { Worker } from 'node:worker_threads'
import { IndexFormatError } from '../errors.js'
import { MAX_FRAME_RAW_BYTES } from '../limits.js'
import type { CompressReply, CompressRequest, CompressorSlot } from './compressor-worker.js'
import { maxEncodedBytes } from './frame-codec.js'
import type { FrameCompressor } from './frame-compressor.js'

interface Waiter {
  resolve(compressed: Uint8Array): void
  reject(cause: Error): void
}

interface Thread {
  readonly worker: Worker
  readonly slots: readonly CompressorSlot[]
  /** The callbacks for the frame in each slot; `undefined` if the slot is free. */
  readonly waiters: (Waiter | undefined)[]
  inFlight: number
}

const SLOTS_PER_THREAD = 2

export class ThreadCompressor implements FrameCompressor {
  readonly maxInFlight: number
  readonly #threads: readonly Thread[]
  #failure: Error | undefined

  private constructor(threads: readonly Thread[]) {
    this.#threads = threads
    this.maxInFlight = threads.length * SLOTS_PER_THREAD
  }

  /** Starts `threads` threads, at least 1. The caller closes the compressor. */
  static start(threads: number): ThreadCompressor {
    const started = Array.from({ length: Math.max(1, threads) }, startThread)
    const compressor = new ThreadCompressor(started)
    for (const thread of started) compressor.#listen(thread)
    return compressor
  }

  compress(raw: Uint8Array, level: number): Promise<Uint8Array> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure)
    const [thread] = this.#threads.toSorted((a, b) => a.inFlight - b.inFlight)
    const free = thread?.waiters.indexOf(undefined) ?? -1
    const memory = thread?.slots[free]
    if (thread === undefined || memory === undefined || raw.length > memory.raw.length) {
      const message =
        `compress frame of ${raw.length} bytes: at most ${MAX_FRAME_RAW_BYTES} in each of ` +
        `${this.maxInFlight} frames under way`
      return Promise.reject(new IndexFormatError('limit-exceeded', message))
    }
    memory.raw.set(raw)
    return new Promise((resolve, reject) => {
      thread.waiters[free] = { resolve, reject }
      thread.inFlight++
      const request: CompressRequest = { slot: free, rawSizeBytes: raw.length, level }
      thread.worker.postMessage(request)
    })
  }

  async close(): Promise<void> {
    this.#fail(new Error('compress frame: the compressor is closed'))
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()))
  }

  #listen(thread: Thread): void {
    const { worker } = thread
    worker.on('message', (reply: CompressReply) => {
      settle(thread, reply)
    })
    worker.on('error', (cause) => {
      this.#fail(new Error('compress frame: a compressor thread failed', { cause }))
    })
    worker.on('exit', () => {
      this.#fail(new Error('compress frame: a compressor thread ended'))
    })
  }

  #fail(failure: Error): void {
    this.#failure ??= failure
    for (const { waiters } of this.#threads) {
      for (const waiter of waiters) waiter?.reject(this.#failure)
      waiters.fill(undefined)
    }
  }
}

function startThread(): Thread {
  const slots = Array.from({ length: SLOTS_PER_THREAD }, () => ({
    raw: sharedBytes(MAX_FRAME_RAW_BYTES),
    compressed: sharedBytes(maxEncodedBytes(MAX_FRAME_RAW_BYTES)),
  }))
  const worker = new Worker(new URL('./compressor-worker.js', import.meta.url), {
    workerData: slots,
  })
  const waiters = slots.map((): Waiter | undefined => undefined)
  return { worker, slots, waiters, inFlight: 0 }
}

/** Shared memory. The kernel provides its pages on first use, and most frames use few of them. */
function sharedBytes(sizeBytes: number): Uint8Array {
  return new Uint8Array(new SharedArrayBuffer(sizeBytes))
}

function settle(thread: Thread, reply: CompressReply): void {
  const { slot } = reply
  const waiter = thread.waiters[slot]
  const memory = thread.slots[slot]
  if (waiter === undefined || memory === undefined) return
  thread.waiters[slot] = undefined
  thread.inFlight--
  if ('failure' in reply) waiter.reject(new Error(`compress frame: ${reply.failure}`))
  // The slot is reused at once, so the result is a copy.
  else waiter.resolve(new Uint8Array(memory.compressed.subarray(0, reply.sizeBytes)))
}
