/** Lets a bounded number of reads be served at a time. The others wait for their turn, in order. */
import { abortable } from '../waiting/abortable.js'

/** Reads served at a time. Each has a buffer of up to 1 MiB. */
const MAX_SERVED = 64

export class ServingTurns {
  readonly #waiting = new Set<() => void>()
  #served = 0

  /**
   * Waits for a turn and then calls `work`. Rejects with the reason of `signal` as soon as it is
   * aborted. The turn of a read that gave up ends with its work, which uses memory until then.
   */
  async serve<T>(work: (signal: AbortSignal) => Promise<T>, signal: AbortSignal): Promise<T> {
    await this.#turn(signal)
    const working = work(signal)
    void working
      .catch(() => undefined)
      .finally(() => {
        this.#pass()
      })
    return abortable(working, signal)
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#served < MAX_SERVED) {
      this.#served++
      return
    }
    let onTurn = (): void => undefined
    const turn = new Promise<void>((resolve) => {
      onTurn = resolve
    })
    this.#waiting.add(onTurn)
    try {
      await abortable(turn, signal)
    } catch (error) {
      // The turn may have been given to this read in the moment in which it gave up.
      if (!this.#waiting.delete(onTurn)) this.#pass()
      throw error
    }
  }

  /** Gives a turn to the read that has waited longest. */
  #pass(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#served--
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
