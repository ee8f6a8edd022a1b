/**
 * The place of one range request among those under way. A request that makes no progress gives its
 * place back to others, and takes it again with the next byte.
 */
export class FetchPlace {
  readonly #noProgressMs: number
  readonly #onChange: (isTaken: boolean) => void
  #timer: NodeJS.Timeout | undefined
  #isTaken = true

  /**
   * The place is taken from the beginning. `onChange` is called each time that it is given back or
   * taken again.
   */
  constructor(options: { noProgressMs: number; onChange: (isTaken: boolean) => void }) {
    this.#noProgressMs = options.noProgressMs
    this.#onChange = options.onChange
  }

  /** Call this when the request waits for its server. After `noProgressMs`, the place is given back. */
  waits(): void {
    if (this.#timer === undefined) {
      this.#timer = setTimeout(() => {
        this.#change(false)
      }, this.#noProgressMs)
      this.#timer.unref()
    } else {
      this.#timer.refresh()
    }
  }

  /** Call this when bytes have arrived. Until the next `waits`, the place is kept. */
  progressed(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#change(true)
  }

  /** The request has ended. Idempotent. */
  leave(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#change(false)
  }

  #change(isTaken: boolean): void {
    if (this.#isTaken === isTaken) return
    this.#isTaken = isTaken
    this.#onChange(isTaken)
  }
}
