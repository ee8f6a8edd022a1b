/** Cuts the stream of one range into the compressed frames that are wanted from it. */

/** A wanted frame: its place in the range, and a tag that is returned with it. */
export interface WantedFrame<T> {
  /** First byte of the frame, from the start of the range. */
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

  /** `wanted` must be in order of offset, without overlap. Bytes between the frames are dropped. */
  constructor(wanted: readonly WantedFrame<T>[]) {
    this.#wanted = wanted
  }

  /** Takes the next bytes of the range. Returns the frames that they complete, in order. */
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
        // Memory outside Node's buffer pool can be moved to another thread.
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
