/**
 * One direction of a network: a wire that all connections share. Each sends a small piece in turn,
 * the wire is busy for as long as the piece takes at its bandwidth, and the piece arrives a constant
 * time after its last byte was sent. Pieces on their way do not wait for each other: the delay adds
 * latency and takes nothing from the throughput. What is left out, for every contender alike: loss,
 * and TCP's slow start.
 */
import type { Flow, Piece } from './flow.js'

export interface LinkShape {
  readonly delayMs: number
  readonly bitsPerSecond: number | undefined
}

/** How long one connection may keep the wire before it is another's turn. */
const TURN_MS = 0.25
/** A packet is not divided. */
const MIN_PIECE_BYTES = 1460
const MAX_PIECE_BYTES = 64 * 1024
/** A receiver's window, beyond what fills the wire there and back. */
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
  /** Connections with something to send; the first is next. */
  readonly #waiting: Flow[] = []
  /** What has been sent and has not arrived, in order: the delay is the same for all. */
  readonly #wire: Parcel[] = []
  /** The wire is busy until then. */
  #freeMs = 0

  /** How many bytes of one connection may be on their way. */
  readonly windowBytes: number

  /** `delivered` hears of bytes that arrive; `changed` that `advance` has something to do. */
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

  /** Queues a piece behind what the connection has queued before. */
  send(flow: Flow, piece: Piece): void {
    if (flow.empty) this.#waiting.push(flow)
    flow.add(piece)
    this.#changed()
  }

  /** Forgets what a connection has not sent yet. */
  remove(flow: Flow): void {
    flow.discard()
    const index = this.#waiting.indexOf(flow)
    if (index !== -1) this.#waiting.splice(index, 1)
  }

  /** Does everything that is due; returns when there is something to do next, Infinity for never. */
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
        // What comes later does not get the time in which nobody sent.
        this.#freeMs = nowMs
        return
      }
      if (!flow.empty) this.#waiting.push(flow)
      // We may be late; the wire is not.
      const startMs = Math.max(this.#freeMs, piece.availableMs)
      this.#freeMs = startMs + (piece.bytes?.length ?? 0) / this.#bytesPerMs
      this.#wire.push({ flow, bytes: piece.bytes, arrivesMs: this.#freeMs + this.#delayMs })
    }
  }

  /** Takes the connection whose turn it is off the list; those that cannot send keep their places. */
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
