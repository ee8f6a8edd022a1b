/**
 * Remembers the names of directory batches that were cut short by their limit, so that a listing
 * goes on with `name > last` instead of counting from the start again: a directory of n entries
 * costs O(n), not O(n²). Bounded; what was forgotten is found again by counting.
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

  /** The name that stands at `cookie` in directory `parent`, if it is remembered. */
  nameAt(parent: number, cookie: number): Uint8Array | undefined {
    const batch = this.#batches.get(parent)
    return batch?.names[cookie - batch.firstCookie]
  }

  /** Takes the place of what was known of `parent`; the directory heard of longest ago makes room. */
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
