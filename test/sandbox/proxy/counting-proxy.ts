/**
 * A TCP proxy in front of the registry that counts requests and bytes of HTTP/1.1 clients, and that
 * can be as slow as a real network. Every contender goes through the same proxy, so that their
 * bytes, requests and times compare as on a network. It recognizes a request by its request line at
 * the start of a segment. This suffices because none of our clients pipelines. The proxy runs in a
 * thread of its own.
 */
import { MessageChannel, type MessagePort, Worker, receiveMessageOnPort } from 'node:worker_threads'
import type { NetworkShape } from './network-shape.js'

export interface Traffic {
  readonly requests: number
  /** Bytes sent to clients: heads and bodies of answers. */
  readonly receivedBytes: number
  /** Bytes sent to the server: heads and bodies of requests. */
  readonly sentBytes: number
}

/** The `workerData` of the thread. */
export interface ProxyThreadData {
  readonly targetPort: number
  /** The thread posts a string for every request. */
  readonly lines: MessagePort
  /** Two 64-bit counters: bytes sent, bytes received. */
  readonly counters: SharedArrayBuffer
}

export type ProxyCommand =
  | { readonly kind: 'shape'; readonly network: NetworkShape }
  | { readonly kind: 'refuse'; readonly refusing: boolean }
  | { readonly kind: 'close' }

export type ProxyAnswer =
  { readonly kind: 'listening'; readonly port: number } | { readonly kind: 'done' }

export class CountingProxy {
  readonly port: number
  readonly #worker: Worker
  readonly #linesPort: MessagePort
  readonly #counts: BigUint64Array
  #sentBefore = 0n
  #receivedBefore = 0n
  #lines: string[] = []
  #closed = false
  /** Ends when the last command is done. The next command waits for it. */
  #told: Promise<void> = Promise.resolve()

  /**
   * Listens on a free loopback port and forwards to the loopback port `targetPort`. The caller
   * closes it.
   */
  static async start(targetPort: number): Promise<CountingProxy> {
    const { port1, port2 } = new MessageChannel()
    // `#takeLines` reads the port on demand. An unreferenced port does not keep the process
    // running.
    port1.unref()
    const counters = new SharedArrayBuffer(16)
    const workerData: ProxyThreadData = { targetPort, lines: port2, counters }
    const worker = new Worker(new URL('./counting-proxy-worker.js', import.meta.url), {
      workerData,
      transferList: [port2],
    })
    const answer = await nextAnswer(worker)
    if (answer.kind !== 'listening') throw new Error('the thread of a proxy does not listen')
    return new CountingProxy(answer.port, worker, port1, counters)
  }

  private constructor(
    port: number,
    worker: Worker,
    linesPort: MessagePort,
    counters: SharedArrayBuffer,
  ) {
    this.port = port
    this.#worker = worker
    this.#linesPort = linesPort
    this.#counts = new BigUint64Array(counters)
  }

  /** Requests and bytes since the start or the last `reset`. */
  get traffic(): Traffic {
    return {
      requests: this.requestLines.length,
      receivedBytes: Number(this.#count(1) - this.#receivedBefore),
      sentBytes: Number(this.#count(0) - this.#sentBefore),
    }
  }

  /** Method and path (`GET /v2/…`) of every request since the last `reset`, in order. */
  get requestLines(): readonly string[] {
    this.#takeLines()
    return this.#lines
  }

  reset(): void {
    this.#takeLines()
    this.#lines = []
    this.#sentBefore = this.#count(0)
    this.#receivedBefore = this.#count(1)
  }

  /**
   * Sets the network of future connections and breaks off open ones. Initially the network is
   * unshaped.
   */
  async shape({ roundTripMs, bitsPerSecond }: NetworkShape): Promise<void> {
    await this.#tell({ kind: 'shape', network: { roundTripMs, bitsPerSecond } })
  }

  /** Breaks off open connections, and new ones while `refusing` is true. */
  async refuse(refusing: boolean): Promise<void> {
    await this.#tell({ kind: 'refuse', refusing })
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#tell({ kind: 'close' })
    this.#linesPort.close()
  }

  async #tell(command: ProxyCommand): Promise<void> {
    const done = this.#told.then(async () => {
      const answer = nextAnswer(this.#worker)
      this.#worker.postMessage(command)
      await answer
    })
    this.#told = done.catch(() => undefined)
    await done
  }

  #count(index: 0 | 1): bigint {
    return Atomics.load(this.#counts, index)
  }

  /** Receives the messages synchronously, so that requests already made are counted at once. */
  #takeLines(): void {
    for (;;) {
      const taken = receiveMessageOnPort(this.#linesPort)
      if (taken === undefined) return
      this.#lines.push(taken.message as string)
    }
  }
}

/** The thread's next message. The thread answers every command once, in order. */
async function nextAnswer(worker: Worker): Promise<ProxyAnswer> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject)
    worker.once('message', (answer: ProxyAnswer) => {
      worker.off('error', reject)
      resolve(answer)
    })
  })
}
