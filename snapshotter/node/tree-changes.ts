/**
 * Tells the parts of a node that trees have been added, replaced or removed. The parts that change
 * trees are opened before the parts that react to changes. Neither has to know the other.
 */

export interface TreeChange {
  /** Slots of trees that are no longer registered. These slots are never used again. */
  readonly removedSlots: readonly number[]
}

/** Called for each change. `announce` waits for a promise that the listener returns. */
export type TreeChangeListener = (change: TreeChange) => Promise<void> | void

export class TreeChanges {
  readonly #listeners: TreeChangeListener[] = []

  /** Listeners are called in the order in which they were added. */
  listen(listener: TreeChangeListener): void {
    this.#listeners.push(listener)
  }

  /** Calls all listeners. Resolves when all have finished. Rejects with the first failure. */
  async announce(change: TreeChange): Promise<void> {
    await Promise.all(
      this.#listeners.map(async (listener) => {
        await listener(change)
      }),
    )
  }
}
