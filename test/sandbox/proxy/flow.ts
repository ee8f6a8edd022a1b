/**
 * One direction of one connection: pieces that wait to be sent, and the number of bytes in flight.
 */
import type { Readable, Writable } from 'node:stream'

/** Size of the simulated send buffer. When more is queued, the source is paused. */
const SEND_BUFFER_BYTES = 512 * 1024

/** A piece of a stream. If `bytes` is undefined, it is the end of the stream. */
export interface Piece {
  readonly bytes: Buffer | undefined
  /** The piece must not be sent before this time. */
  readonly availableMs: number
}

export class Flow {
  readonly #source: Readable
  readonly #sink: Writable
  readonly #windowBytes: number
  readonly #pieces: Piece[] = []
  #queuedBytes = 0
  #inFlightBytes = 0

  constructor(source: Readable, sink: Writable, windowBytes: number) {
    this.#source = source
    this.#sink = sink
    this.#windowBytes = windowBytes
  }

  get empty(): boolean {
    return this.#pieces.length === 0
  }

  /**
   * When the next piece may be sent. Infinity if there is none, or if the receiver does not keep
   * up.
   */
  get availableMs(): number {
    if (this.#inFlightBytes >= this.#windowBytes) return Infinity
    return this.#pieces[0]?.availableMs ?? Infinity
  }

  add(piece: Piece): void {
    this.#pieces.push(piece)
    this.#queuedBytes += piece.bytes?.length ?? 0
    if (this.#queuedBytes > SEND_BUFFER_BYTES) this.#source.pause()
  }

  /** Removes the next piece, or its first `maxBytes` bytes, from the queue, to be sent. */
  take(maxBytes: number): Piece | undefined {
    const piece = this.#pieces.shift()
    if (piece?.bytes === undefined) return piece
    const { bytes, availableMs } = piece
    const taken = bytes.subarray(0, maxBytes)
    if (taken.length < bytes.length) {
      this.#pieces.unshift({ bytes: bytes.subarray(taken.length), availableMs })
    }
    this.#queuedBytes -= taken.length
    this.#inFlightBytes += taken.length
    if (this.#queuedBytes <= SEND_BUFFER_BYTES / 2 && this.#source.isPaused()) this.#source.resume()
    return { bytes: taken, availableMs }
  }

  /**
   * Writes a piece to the receiver. `accepted` is called when the receiver's socket has taken it.
   * Between calls of `hold` and `release`, pieces are collected for one system call.
   */
  deliver(bytes: Buffer | undefined, accepted: () => void): void {
    if (bytes === undefined) {
      this.#sink.end()
      return
    }
    this.#sink.write(bytes, () => {
      this.#inFlightBytes -= bytes.length
      accepted()
    })
  }

  hold(): void {
    this.#sink.cork()
  }

  release(): void {
    this.#sink.uncork()
  }

  /** Drops all pieces that are not sent yet, because the connection is gone. */
  discard(): void {
    this.#pieces.length = 0
    this.#queuedBytes = 0
  }
}
