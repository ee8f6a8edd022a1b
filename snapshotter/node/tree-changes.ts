/**
 * Tells the parts of a node which trees have been added, replaced or removed. The parts that change
 * trees are opened before the parts that have to know; neither knows the other.
 */

export interface TreeChange {
  /** Slots of trees that are registered no longer. Their slots are never used again. */
  readonly removedSlots: readonly number[]
}

/** Called for each change. A promise is awaited by whoever announces the change. */
export type TreeChangeListener = (change: TreeChange) => Promise<void> | void

export class TreeChanges {
  readonly #listeners: TreeChangeListener[] = []

  /** Listeners are called in the order in which they were added. */
  listen(listener: TreeChangeListener): void {
    this.#listeners.push(listener)
  }

  /** Resolves when every listener has dealt with the change. Rejects with the first failure. */
  async announce(change: TreeChange): Promise<void> {
    await Promise.all(
      this.#listeners.map(async (listener) => {
        await listener(change)
      }),
    )
  }
}
