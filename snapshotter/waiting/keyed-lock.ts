/**
 * Mutual exclusion per key, in order of arrival: what one request does to a snapshot across an
 * await, no other request for the same snapshot sees half done.
 */
import { cancellable } from './cancellable.js'

export class KeyedLock {
  /** The end of each key's queue: settles when the last one that asked has released. */
  readonly #tails = new Map<string, Promise<void>>()

  /**
   * Runs `work` when it is alone with all of `keys`. Throws `cancelled` when `signal` fires while
   * it waits; then `work` is not started.
   */
  async with<T>(keys: readonly string[], signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    // All queues are joined in one go, so that two requests cannot wait for each other.
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

  /** Resolves when nobody holds or awaits any key. */
  async idle(): Promise<void> {
    while (this.#tails.size > 0) await Promise.all(this.#tails.values())
  }
}
