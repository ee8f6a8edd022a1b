/** Forwards TCP connections, directly or over a shaped network, and reports what passes. */
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import { Flow } from './flow.js'
import { type NetworkShape, UNSHAPED } from './network-shape.js'
import { PreciseTimer } from './precise-timer.js'
import { ShapedLink } from './shaped-link.js'

export interface ForwarderEvents {
  /** A client has sent these bytes in one segment. */
  readonly sent: (bytes: Buffer) => void
  /** This many bytes have arrived at a client. */
  readonly received: (sizeBytes: number) => void
}

/** The link from the clients (`up`) and the link to the clients (`down`). */
interface Links {
  readonly up: ShapedLink
  readonly down: ShapedLink
  readonly roundTripMs: number
}

export class Forwarder {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #targetPort: number
  readonly #events: ForwarderEvents
  readonly #timer: PreciseTimer
  #links: Links | undefined
  #refusing = false

  /**
   * Listens on a free loopback port and forwards to the loopback port `targetPort`. The caller
   * closes it.
   */
  static async start(targetPort: number, events: ForwarderEvents): Promise<Forwarder> {
    const forwarder = new Forwarder(targetPort, events)
    await new Promise<void>((resolve, reject) => {
      forwarder.#server.once('error', reject)
      forwarder.#server.listen(0, '127.0.0.1', resolve)
    })
    return forwarder
  }

  private constructor(targetPort: number, events: ForwarderEvents) {
    this.#targetPort = targetPort
    this.#events = events
    this.#timer = new PreciseTimer(() => {
      this.#advance()
    })
    this.#server = createServer({ allowHalfOpen: true }, (client) => {
      this.#accept(client)
    })
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Sets the network of future connections and breaks off open ones. */
  shape({ roundTripMs, bitsPerSecond }: NetworkShape): void {
    this.#breakOff()
    const advance = (): void => {
      this.#advance()
    }
    const shape = { delayMs: roundTripMs / 2, bitsPerSecond }
    this.#links =
      roundTripMs === UNSHAPED.roundTripMs && bitsPerSecond === UNSHAPED.bitsPerSecond
        ? undefined
        : {
            up: new ShapedLink(shape, () => undefined, advance),
            down: new ShapedLink(shape, this.#events.received, advance),
            roundTripMs,
          }
  }

  /** Breaks off open connections, and new ones while `refusing` is true. */
  refuse(refusing: boolean): void {
    this.#refusing = refusing
    if (refusing) this.#breakOff()
  }

  /** Idempotent. */
  async close(): Promise<void> {
    if (!this.#server.listening) return
    this.#breakOff()
    this.#timer.set(Infinity)
    await new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve()
      })
    })
  }

  #breakOff(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  #accept(client: Socket): void {
    const acceptedMs = performance.now()
    if (this.#refusing) {
      client.resetAndDestroy()
      return
    }
    const server = connect({ port: this.#targetPort, host: '127.0.0.1', allowHalfOpen: true })
    for (const [socket, peer] of [
      [client, server],
      [server, client],
    ] as const) {
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      // After one end has ended normally, its last bytes and the end itself still reach its peer.
      // An end that fails breaks off its peer, so that the client sees the same as without a proxy.
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
    client.on('data', this.#events.sent)
    if (this.#links === undefined) {
      server.on('data', (chunk) => {
        this.#events.received(chunk.length)
      })
      client.pipe(server)
      server.pipe(client)
      return
    }
    const { up, down, roundTripMs } = this.#links
    // A connection is open when SYN and its answer have crossed the network.
    send(client, server, up, acceptedMs + roundTripMs)
    send(server, client, down, 0)
  }

  #advance(): void {
    if (this.#links === undefined) return
    const nowMs = performance.now()
    const { up, down } = this.#links
    this.#timer.set(Math.min(up.advance(nowMs), down.advance(nowMs)))
  }
}

/** Sends the bytes of `source` over a link to `sink`, none of them before `earliestMs`. */
function send(source: Socket, sink: Socket, link: ShapedLink, earliestMs: number): void {
  const flow = new Flow(source, sink, link.windowBytes)
  const queue = (bytes: Buffer | undefined): void => {
    link.send(flow, { bytes, availableMs: Math.max(performance.now(), earliestMs) })
  }
  source.on('data', queue)
  source.on('end', () => {
    queue(undefined)
  })
  sink.on('close', () => {
    link.remove(flow)
  })
}
