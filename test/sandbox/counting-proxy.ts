/**
 * A TCP proxy that counts what HTTP/1.1 clients ask for and what they get. It stands in front of
 * the registry for every contender alike, so that bytes and requests are compared as a network sees
 * them. It counts requests by their first line, which starts a segment of its own: no client of
 * ours pipelines.
 */
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'

export interface Traffic {
  readonly requests: number
  /** Towards the client: heads and bodies of answers. */
  readonly receivedBytes: number
  /** Towards the server: heads and bodies of requests. */
  readonly sentBytes: number
}

const REQUEST_LINE = /^[A-Z]{3,7} \S+ HTTP\/1\.[01]\r\n/

export class CountingProxy {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #targetPort: number
  #refusing = false
  #requests = 0
  #receivedBytes = 0
  #sentBytes = 0
  /** Request lines since the last `reset`, in order. */
  #lines: string[] = []

  /** Listens on a free loopback port and forwards to `targetPort` of the loopback. The caller closes it. */
  static async start(targetPort: number): Promise<CountingProxy> {
    const proxy = new CountingProxy(targetPort)
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen(0, '127.0.0.1', resolve)
    })
    return proxy
  }

  private constructor(targetPort: number) {
    this.#targetPort = targetPort
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      this.#accept(client)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** What has passed since the start or the last `reset`. */
  get traffic(): Traffic {
    return {
      requests: this.#requests,
      receivedBytes: this.#receivedBytes,
      sentBytes: this.#sentBytes,
    }
  }

  /** `GET /v2/…` of every request since the last `reset`, in order. */
  get requestLines(): readonly string[] {
    return this.#lines
  }

  reset(): void {
    this.#requests = 0
    this.#receivedBytes = 0
    this.#sentBytes = 0
    this.#lines = []
  }

  /** While `refusing`, open connections are broken off and new ones, too. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing
    if (refusing) for (const socket of this.#sockets) socket.destroy()
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    for (const socket of this.#sockets) socket.destroy()
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve()
      })
    })
  }

  #accept(client: Socket): void {
    if (this.#refusing) {
      client.resetAndDestroy()
      return
    }
    const server = connect({
      port: this.#targetPort,
      host: '127.0.0.1',
      allowHalfOpen: true,
    })
    for (const [socket, peer] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      // What an end says last still reaches the other (pipe passes the end on); only an end that
      // breaks off breaks the other, so that the client sees what it would see without us.
      socket.on('error', () => {
        peer.destroy()
      })
      socket.on('close', () => {
        this.#sockets.delete(socket)
      })
    }
    client.on('close', () => {
      server.destroy()
    })
    client.on('data', (chunk) => {
      this.#sentBytes += chunk.length
      const head = chunk.subarray(0, 2048).toString('latin1')
      if (!REQUEST_LINE.test(head)) return
      this.#requests += 1
      this.#lines.push(head.slice(0, head.indexOf(' HTTP/')))
    })
    server.on('data', (chunk) => {
      this.#receivedBytes += chunk.length
    })
    client.pipe(server)
    server.pipe(client)
  }
}
