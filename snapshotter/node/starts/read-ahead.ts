/**
 * The read-ahead of the superblocks, which somebody may hold at nothing for a while: a recording,
 * because it wants to see pages, and a start that is being brought in, because the kernel would ask
 * for what surrounds its pages, which is still far away.
 */
import { type Log, setReadAhead, type TreeClass } from '../../../fusefs/index.js'

export interface ReadAheadOptions {
  /** While nobody holds it. */
  readonly sizeKib: number
  readonly mountpoints: Readonly<Record<TreeClass, string>>
}

export class ReadAhead {
  readonly #options: ReadAheadOptions
  readonly #log: Log
  readonly #holds: Record<TreeClass, number> = { plain: 0, xattr: 0 }
  #last: Promise<void> = Promise.resolve()

  constructor(options: ReadAheadOptions, modules: { log: Log }) {
    this.#options = options
    this.#log = modules.log
  }

  /**
   * No read-ahead for files that are opened from when this resolves until `release` is called.
   * Never throws: where it cannot be set, more is read than is needed.
   */
  async hold(treeClass: TreeClass): Promise<{ release: () => Promise<void> }> {
    await this.#change(treeClass, 1)
    let isHeld = true
    const release = async (): Promise<void> => {
      if (!isHeld) return
      isHeld = false
      await this.#change(treeClass, -1)
    }
    return { release }
  }

  #change(treeClass: TreeClass, by: 1 | -1): Promise<void> {
    this.#holds[treeClass] += by
    this.#last = this.#last.then(() => this.#set(treeClass))
    return this.#last
  }

  async #set(treeClass: TreeClass): Promise<void> {
    const mountpoint = this.#options.mountpoints[treeClass]
    try {
      await setReadAhead(mountpoint, this.#holds[treeClass] > 0 ? 0 : this.#options.sizeKib)
    } catch (error) {
      this.#log.warn({ err: error, mountpoint }, 'read-ahead cannot be set')
    }
  }
}
