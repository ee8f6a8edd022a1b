/**
 * Mutual exclusion per key, in order of arrival. While a request changes a snapshot across an
 * await, no other request for the same snapshot sees the change half done.
 */
import { cancellable } from './cancellable.js'

export class KeyedLock {
  /**
   * The end of each key's queue: a promise that settles when the last request in the queue has
   * released the key.
   */
  readonly #tails = new Map<string, Promise<void>>()

  /**
   * Runs `work` once it alone holds all of `keys`, and returns its result. Throws `cancelled` if
   * `signal` fires during the wait; `work` is then not started.
   */
  async with<T>(keys: readonly string[], signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    // Join all queues in one step, so that two requests cannot wait for each other.
    const before = [...new Set(keys)].flatMap((key) => this.#tails.get(key) ?? [])
    let release: () => void = () => undefined
    const done = new Promise<void>((resolve) => {
      release = resolve
    })
    const turn = Promise.all(before).then(() => undefined)
    const tail = turn.then(() => done)
    for (const key of keys) this.#tails.set(key, tail)
    void tail.then(() => {
      for (const key of keys) if (this.#tails.get(key) === tail) this.#tails.delete(key)
    })
    try {
      await cancellable(turn, signal, `wait for the requests before this one on ${keys.join(', ')}`)
      return await work()
    } finally {
      release()
    }
  }

  /** Resolves when no request holds or awaits any key. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }
}
