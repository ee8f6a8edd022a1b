/**
 * What the kernel caches of a mount's files, changed from our side: pages are dropped, or put there
 * before anybody asks. One message at a time: the kernel may let it wait for a page that a READ has
 * locked, in one of libuv's few threads, and the READ may need the others to be answered.
 */
import { writev as writevCallback } from 'node:fs'
import { promisify } from 'node:util'
import { nodeIdOf } from '../filesystem/node-id.js'
import type { Log } from '../log.js'
import { encodeNotifyInvalidateInode, encodeNotifyStore } from '../wire/notify.js'
import type { StatsRow } from './server-stats.js'

const writev = promisify(writevCallback)

export class KernelCache {
  readonly #fd: number
  readonly #modules: { stats: StatsRow; log: Log }
  #last: Promise<unknown> = Promise.resolve()
  #isClosed = false

  /** `fd`: /dev/fuse, mounted; stays the caller's. */
  constructor(options: { fd: number }, modules: { stats: StatsRow; log: Log }) {
    this.#fd = options.fd
    this.#modules = modules
  }

  /** Drops attributes and pages of a file. False where the kernel has none. Never throws. */
  drop(slot: number, ino: number): Promise<boolean> {
    return this.#inTurn(() => this.#send([encodeNotifyInvalidateInode(nodeIdOf(slot, ino))]))
  }

  /**
   * Puts verified bytes of a file into the page cache. `offset` is a page's start, and `bytes` end
   * at a page's end or at the file's: of any other page the kernel keeps nothing. They must not reach
   * beyond the file's end, which would make it longer. False where the kernel does not know
   * the inode, or has no room. Never throws.
   */
  async store(slot: number, ino: number, offset: number, bytes: Uint8Array): Promise<boolean> {
    const header = encodeNotifyStore(nodeIdOf(slot, ino), offset, bytes.length)
    const stored = await this.#inTurn(() => this.#send([header, bytes]))
    if (stored) this.#modules.stats.countBytesStored(bytes.length)
    return stored
  }

  /** Sends nothing any more, and waits for what is on its way. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#last
  }

  #inTurn(send: () => Promise<boolean>): Promise<boolean> {
    const turn = this.#last.then(() => (this.#isClosed ? false : send()))
    this.#last = turn
    return turn
  }

  async #send(message: readonly Uint8Array[]): Promise<boolean> {
    try {
      await writev(this.#fd, message)
      return true
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined
      // ENOENT: no such inode in the kernel. ENODEV, ENOTCONN: no mount. ENOMEM: no room for pages.
      const expected = ['ENOENT', 'ENODEV', 'ENOTCONN', 'ENOMEM'].includes(String(code))
      if (!expected) this.#modules.log.warn({ err: error }, 'the kernel refused a notification')
      return false
    }
  }
}
