/**
 * A map from inode numbers to inode numbers for trees of millions of files. It takes eight bytes an
 * entry if the numbers are dense, as they are in every layer.
 */
const PAGE_BITS = 6
const PAGE_ENTRIES = 1 << PAGE_BITS

export class InoMap {
  readonly #pages = new Map<number, Float64Array>()

  get(ino: number): number | undefined {
    const value = this.#pages.get(pageOf(ino))?.[ino % PAGE_ENTRIES]
    return value === 0 ? undefined : value
  }

  /** `value` is an inode number, hence never 0. */
  set(ino: number, value: number): void {
    const number = pageOf(ino)
    let page = this.#pages.get(number)
    if (page === undefined) {
      page = new Float64Array(PAGE_ENTRIES)
      this.#pages.set(number, page)
    }
    page[ino % PAGE_ENTRIES] = value
  }
}

/** Divides, because inode numbers exceed 2^32 and JavaScript's shifts would wrap. */
function pageOf(ino: number): number {
  return Math.floor(ino / PAGE_ENTRIES)
}
