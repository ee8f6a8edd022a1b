/**
 * One direction of a network: a wire that all connections share. The connections take turns; in
 * each turn one of them sends a small piece. The wire is busy for as long as the piece takes at the
 * wire's bandwidth, and the piece arrives a constant time after its last byte was sent. Pieces on
 * their way do not wait for each other: the delay adds latency and does not lower the throughput.
 * Packet loss and TCP's slow start are left out, for every contender alike.
 */
import type { Flow, Piece } from './flow.js'

export interface LinkShape {
  readonly delayMs: number
  readonly bitsPerSecond: number | undefined
}

/** How long one connection may use the wire before the next connection's turn. */
const TURN_MS = 0.25
/** The payload of one packet: a packet is not divided. */
const MIN_PIECE_BYTES = 1460
const MAX_PIECE_BYTES = 64 * 1024
/** A receiver's window, in addition to the bytes that fill the wire there and back. */
const WINDOW_BYTES = 256 * 1024
const UNLIMITED_WINDOW_BYTES = 4 * 1024 ** 2

interface Parcel {
  readonly flow: Flow
  readonly bytes: Buffer | undefined
  readonly arrivesMs: number
}

export class ShapedLink {
  readonly #delayMs: number
  readonly #bytesPerMs: number
  readonly #pieceBytes: number
  readonly #delivered: (bytes: number) => void
  readonly #changed: () => void
  /** Connections with something to send. The first in the list sends next. */
  readonly #waiting: Flow[] = []
  /**
   * Parcels that are sent and have not arrived. They arrive in this order, because all have the
   * same delay.
   */
  readonly #wire: Parcel[] = []
  /** The wire is busy until this time. */
  #freeMs = 0

  /** How many bytes of one connection may be in flight. */
  readonly windowBytes: number

  /**
   * `delivered` is called with the number of bytes that arrive. `changed` is called when `advance`
   * has something to do.
   */
  constructor(shape: LinkShape, delivered: (bytes: number) => void, changed: () => void) {
    const { delayMs, bitsPerSecond } = shape
    this.#delayMs = delayMs
    this.#bytesPerMs = bitsPerSecond === undefined ? Infinity : bitsPerSecond / 8 / 1000
    this.#pieceBytes = Math.floor(
      Math.min(MAX_PIECE_BYTES, Math.max(MIN_PIECE_BYTES, TURN_MS * this.#bytesPerMs)),
    )
    this.windowBytes =
      bitsPerSecond === undefined
        ? UNLIMITED_WINDOW_BYTES
        : WINDOW_BYTES + 2 * delayMs * this.#bytesPerMs
    this.#delivered = delivered
    this.#changed = changed
  }

  /** Queues a piece behind the earlier pieces of its connection. */
  send(flow: Flow, piece: Piece): void {
    if (flow.empty) this.#waiting.push(flow)
    flow.add(piece)
    this.#changed()
  }

  /** Drops the pieces of a connection that are not sent yet. */
  remove(flow: Flow): void {
    flow.discard()
    const index = this.#waiting.indexOf(flow)
    if (index !== -1) this.#waiting.splice(index, 1)
  }

  /** Does everything that is due. Returns when something is due next, or Infinity if nothing is. */
  advance(nowMs: number): number {
    this.#transmit(nowMs)
    this.#deliver(nowMs)
    const available = Math.min(...this.#waiting.map(({ availableMs }) => availableMs))
    return Math.min(this.#wire[0]?.arrivesMs ?? Infinity, Math.max(available, this.#freeMs))
  }

  #transmit(nowMs: number): void {
    while (this.#freeMs <= nowMs) {
      const flow = this.#nextSender(nowMs)
      const piece = flow?.take(this.#pieceBytes)
      if (flow === undefined || piece === undefined) {
        // Idle time of the wire is lost: later pieces cannot use it.
        this.#freeMs = nowMs
        return
      }
      if (!flow.empty) this.#waiting.push(flow)
      // This call may be late, but the wire counts from when it was free and the piece was
      // available.
      const startMs = Math.max(this.#freeMs, piece.availableMs)
      this.#freeMs = startMs + (piece.bytes?.length ?? 0) / this.#bytesPerMs
      this.#wire.push({ flow, bytes: piece.bytes, arrivesMs: this.#freeMs + this.#delayMs })
    }
  }

  /**
   * Removes the next connection that can send from the list. Connections that cannot send keep
   * their places.
   */
  #nextSender(nowMs: number): Flow | undefined {
    const index = this.#waiting.findIndex(({ availableMs }) => availableMs <= nowMs)
    return index === -1 ? undefined : this.#waiting.splice(index, 1)[0]
  }

  #deliver(nowMs: number): void {
    const held = new Set<Flow>()
    for (;;) {
      const [parcel] = this.#wire
      if (parcel === undefined || parcel.arrivesMs > nowMs) break
      this.#wire.shift()
      const { flow, bytes } = parcel
      if (!held.has(flow)) {
        held.add(flow)
        flow.hold()
      }
      this.#delivered(bytes?.length ?? 0)
      flow.deliver(bytes, this.#changed)
    }
    for (const flow of held) flow.release()
  }
}
