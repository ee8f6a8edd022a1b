/** A file's stored bytes as one stream: its runs in the spool, one after the other. */
import { IndexFormatError } from '../errors.js'
import type { RandomAccess } from '../random-access.js'
import type { Extent } from '../tree/tree.js'

export class RunReader {
  readonly #spool: RandomAccess
  readonly #runs: readonly Extent[]
  #run = 0
  #done = 0

  constructor(spool: RandomAccess, runs: readonly Extent[]) {
    this.#spool = spool
    this.#runs = runs
  }

  /** Fills `target` with the next bytes. Throws `truncated` if there are too few. */
  read(target: Uint8Array): void {
    for (let at = 0; at < target.length;) {
      const run = this.#runs[this.#run]
      if (run === undefined) throw new IndexFormatError('truncated', 'pack files: runs too short')
      const count = Math.min(target.length - at, run.length - this.#done)
      this.#spool.readSync(target.subarray(at, at + count), run.rawOffset + this.#done)
      at += count
      this.#done += count
      if (this.#done === run.length) {
        this.#run++
        this.#done = 0
      }
    }
  }
}
