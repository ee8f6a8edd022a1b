/**
 * The whole of a running node: its parts, opened in order and closed in reverse. The FUSE mounts
 * belong to the keeper and stay.
 */
import type { Logger } from 'pino'
import type { NegotiatedInit, TreeClass } from '../../../fusefs/index.js'
import type { Config } from '../../config/index.js'
import type { FuseServers, InheritedFuse } from '../fuse-servers.js'
import { databaseReadable } from './database-watch.js'
import { DAEMON_PARTS } from './daemon-parts.js'

export interface DaemonOptions {
  readonly config: Config
  readonly inherited: readonly InheritedFuse[]
  /** Logs every FUSE request at level debug. */
  readonly trace: boolean
}

export interface DaemonModules {
  readonly log: Logger
  /** Keeps the outcome of an INIT with the descriptor. */
  readonly onInit: (treeClass: TreeClass, negotiated: NegotiatedInit) => Promise<void>
}

export class Daemon {
  readonly #fuse: FuseServers
  readonly #repaired: Promise<void>
  readonly #closeParts: () => Promise<void>
  #closing: Promise<boolean> | undefined

  private constructor(
    parts: { fuse: FuseServers; repaired: Promise<void> },
    closeParts: () => Promise<void>,
  ) {
    this.#fuse = parts.fuse
    this.#repaired = parts.repaired
    this.#closeParts = closeParts
  }

  /**
   * Starts everything; when it resolves, containerd can connect. Throws the error of the first part
   * that fails, after all parts before it have been closed again.
   */
  static async start(options: DaemonOptions, modules: DaemonModules): Promise<Daemon> {
    const { log } = modules
    const { parts, close } = await DAEMON_PARTS.open({ ...options, ...modules }, { log })
    const { address, root } = options.config
    log.info({ address, root }, 'ready for containerd')
    const repaired =
      parts.store.refusal === undefined
        ? new Promise<never>(() => undefined)
        : databaseReadable(root)
    return new Daemon({ fuse: parts.fuse, repaired }, close)
  }

  /** Resolves when a mount went away under the daemon, which can then serve no longer. */
  async failed(): Promise<TreeClass> {
    const lost = await this.#fuse.lost()
    // The threads also end when the daemon is closed.
    if (this.#closing === undefined) return lost
    return new Promise(() => undefined)
  }

  /**
   * Resolves when a damaged snapshot database has been repaired, so that a new daemon can use it.
   * Never resolves if the database was whole when this daemon started.
   */
  async databaseRepaired(): Promise<void> {
    await this.#repaired
    if (this.#closing !== undefined) await new Promise<never>(() => undefined)
  }

  /** Resolves when every mount that threads serve has answered a request. */
  async answered(): Promise<void> {
    if (this.#closing === undefined) await this.#fuse.answered()
  }

  /**
   * Answers the requests under way, saves the state of the cache, and leaves the mounts. False when
   * a dispatcher thread did not end: the process has to be killed. Idempotent.
   */
  close(): Promise<boolean> {
    this.#closing ??= this.#closeParts().then(() => this.#fuse.threadsEnded)
    return this.#closing
  }
}
