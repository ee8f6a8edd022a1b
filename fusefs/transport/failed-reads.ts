/**
 * Remembers for a moment which READs failed after a long wait. When a READ of the kernel's
 * read-ahead fails, the kernel asks again for each page of it that a program needs. Without this
 * memory the program would wait a second time for the same content.
 */
import { LRUCache } from 'lru-cache'

/** The range of a file that a READ asks for. */
export interface ReadRange {
  readonly slot: number
  readonly ino: number
  readonly offset: number
  readonly size: number
}

interface FailedRead {
  readonly offset: number
  /** The first byte behind the range. */
  readonly end: number
  readonly error: unknown
  readonly forgottenAtMs: number
}

/** The kernel asks again within this time. A program that tries again waits longer. */
const REMEMBERED_MS = 1_000
const MAX_FILES = 1_024
/** Failed READs remembered for each file. One thread waits for each. */
const MAX_RANGES = 64

export class FailedReads {
  readonly #now: () => number
  readonly #files = new LRUCache<string, FailedRead[]>({ max: MAX_FILES })

  /** `now`: milliseconds that only grow. */
  constructor(now: () => number) {
    this.#now = now
  }

  note({ slot, ino, offset, size }: ReadRange, error: unknown): void {
    const nowMs = this.#now()
    const known = this.#files.get(keyOf(slot, ino)) ?? []
    const kept = known.filter((read) => read.forgottenAtMs > nowMs).slice(1 - MAX_RANGES)
    kept.push({ offset, end: offset + size, error, forgottenAtMs: nowMs + REMEMBERED_MS })
    this.#files.set(keyOf(slot, ino), kept)
  }

  /**
   * The error of a remembered READ whose range contains the first byte of this READ. Undefined if
   * there is none.
   */
  errorOf({ slot, ino, offset }: ReadRange): { readonly error: unknown } | undefined {
    const nowMs = this.#now()
    const found = this.#files
      .get(keyOf(slot, ino))
      ?.find((read) => read.forgottenAtMs > nowMs && read.offset <= offset && offset < read.end)
    return found && { error: found.error }
  }
}

function keyOf(slot: number, ino: number): string {
  return `${slot} ${ino}`
}
