/** Cuts the stream of one range into the compressed frames that are wanted from it. */

/** A wanted frame: where it is in the range, and who waits for it. */
export interface WantedFrame<T> {
  /** From the start of the range. */
  readonly offset: number
  readonly sizeBytes: number
  readonly tag: T
}

export class FrameAssembler<T> {
  readonly #wanted: readonly WantedFrame<T>[]
  #next = 0
  #position = 0
  #partial: Uint8Array | undefined
  #filled = 0

  /** `wanted` is in order of offset, without overlap; what lies between is dropped. */
  constructor(wanted: readonly WantedFrame<T>[]) {
    this.#wanted = wanted
  }

  /** Takes the next bytes of the range; returns the frames that are whole with them, in order. */
  push(piece: Uint8Array): { tag: T; compressed: Uint8Array }[] {
    const whole: { tag: T; compressed: Uint8Array }[] = []
    const pieceEnd = this.#position + piece.length
    for (;;) {
      const frame = this.#wanted[this.#next]
      if (frame === undefined || frame.offset >= pieceEnd) break
      const from = Math.max(0, frame.offset + this.#filled - this.#position)
      const part = piece.subarray(from, from + frame.sizeBytes - this.#filled)
      if (part.length === frame.sizeBytes) {
        whole.push({ tag: frame.tag, compressed: part })
      } else {
        // Memory of its own, which can be given to another thread.
        this.#partial ??= Buffer.allocUnsafeSlow(frame.sizeBytes)
        this.#partial.set(part, this.#filled)
        this.#filled += part.length
        if (this.#filled < frame.sizeBytes) break
        whole.push({ tag: frame.tag, compressed: this.#partial })
      }
      this.#partial = undefined
      this.#filled = 0
      this.#next++
    }
    this.#position = pieceEnd
    return whole
  }
}
