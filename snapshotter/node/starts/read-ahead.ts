/**
 * Sets the kernel's read-ahead for the superblocks. It can be held at 0 for a while. A recording
 * holds it, so that each page is read on its own. The prefetch of a published start holds it,
 * because the kernel would also ask for neighbouring pages, which are not on this node yet.
 */
import { type Log, setReadAhead, type TreeClass } from '../../../fusefs/index.js'

export interface ReadAheadOptions {
  /** The read-ahead while nothing holds it at 0. */
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
   * Sets read-ahead to 0. From when this resolves until `release` is called, files are opened
   * without read-ahead. Several holds may overlap. Never throws: where read-ahead cannot be set, a
   * warning is logged, and more is read than is needed. `release` is idempotent.
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
