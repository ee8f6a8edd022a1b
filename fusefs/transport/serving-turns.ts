/**
 * Limits the reads that are served at a time, in all and for each tree. The other reads wait for
 * their turn, in order within a tree. The trees take turns. Reads of an image whose store does not
 * answer wait for a long time, and must not stop reads of other images.
 */
import { abortable } from '../waiting/abortable.js'

/** Reads of one tree, and of all trees, served at a time. Each has a buffer of up to 1 MiB. */
const MAX_SERVED_OF_TREE = 64
const MAX_SERVED = 512

interface TreeTurns {
  served: number
  readonly waiting: Set<() => void>
}

export class ServingTurns {
  readonly #trees = new Map<number, TreeTurns>()
  #served = 0

  /**
   * Waits for a turn of the tree in `slot` and then calls `work`. Rejects with the reason of
   * `signal` as soon as it is aborted. The turn of an aborted read ends only when its work ends,
   * because the work uses memory until then.
   */
  async serve<T>(
    slot: number,
    work: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    await this.#turn(slot, signal)
    const working = work(signal)
    void working
      .catch(() => undefined)
      .finally(() => {
        this.#end(slot)
      })
    return abortable(working, signal)
  }

  async #turn(slot: number, signal: AbortSignal): Promise<void> {
    const tree = this.#trees.get(slot) ?? { served: 0, waiting: new Set() }
    this.#trees.set(slot, tree)
    let onTurn = (): void => undefined
    const turn = new Promise<void>((resolve) => {
      onTurn = resolve
    })
    tree.waiting.add(onTurn)
    this.#giveTurns()
    try {
      await abortable(turn, signal)
    } catch (error) {
      // This read may have been given its turn at the moment when it was aborted.
      if (!tree.waiting.delete(onTurn)) this.#end(slot)
      else this.#forgetIdle(slot, tree)
      throw error
    }
  }

  #end(slot: number): void {
    const tree = this.#trees.get(slot)
    if (tree === undefined) return
    tree.served--
    this.#served--
    this.#forgetIdle(slot, tree)
    this.#giveTurns()
  }

  #giveTurns(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) next()
  }

  /** Takes the read that has waited longest in the next tree that may have a turn. */
  #next(): (() => void) | undefined {
    if (this.#served >= MAX_SERVED) return undefined
    for (const [slot, tree] of this.#trees) {
      const [first] = tree.waiting
      if (first === undefined || tree.served >= MAX_SERVED_OF_TREE) continue
      tree.waiting.delete(first)
      tree.served++
      this.#served++
      this.#trees.delete(slot)
      this.#trees.set(slot, tree)
      return first
    }
    return undefined
  }

  #forgetIdle(slot: number, tree: TreeTurns): void {
    if (tree.served === 0 && tree.waiting.size === 0) this.#trees.delete(slot)
  }
}
