/**
 * Remembers the names of directory batches that ended at their limit. The next batch is then read
 * with `name > last` instead of counting from the start: a directory of n entries costs O(n), not
 * O(n²). Memory is bounded: the caller finds a forgotten name by counting.
 */
interface Batch {
  /** The cookie of `names[0]`. */
  readonly firstCookie: number
  readonly names: readonly Uint8Array[]
}

export class ReaddirMemory {
  readonly #maxNames: number
  readonly #batches = new Map<number, Batch>()
  #names = 0

  constructor(maxNames: number) {
    this.#maxNames = maxNames
  }

  /** The name at position `cookie` of directory `parent`, if it is remembered. */
  nameAt(parent: number, cookie: number): Uint8Array | undefined {
    const batch = this.#batches.get(parent)
    return batch?.names[cookie - batch.firstCookie]
  }

  /**
   * Replaces the names remembered of `parent`. If there are more than `maxNames` in all, the
   * directories remembered longest ago are forgotten.
   */
  remember(parent: number, firstCookie: number, names: readonly Uint8Array[]): void {
    this.#forget(parent)
    if (names.length > this.#maxNames) return
    this.#batches.set(parent, { firstCookie, names })
    this.#names += names.length
    for (const oldest of this.#batches.keys()) {
      if (this.#names <= this.#maxNames) return
      this.#forget(oldest)
    }
  }

  #forget(parent: number): void {
    this.#names -= this.#batches.get(parent)?.names.length ?? 0
    this.#batches.delete(parent)
  }
}
