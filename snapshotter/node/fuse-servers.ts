/**
 * The FUSE superblocks of this node, one for each class of tree, served over descriptors that the
 * keeper holds.
 */
import {
  type CompleteIndex,
  type ContentReader,
  FuseServer,
  FusefsError,
  type HeadListener,
  type Log,
  type NegotiatedInit,
  type ServerCounts,
  setReadAhead,
  type TreeClass,
} from '../../fusefs/index.js'

/** A superblock that the keeper hands over to this daemon. */
export interface InheritedFuse {
  readonly class: TreeClass
  readonly fd: number
  /** The outcome of the INIT that an earlier daemon answered; undefined for a new mount. */
  readonly negotiated: NegotiatedInit | undefined
}

export interface FuseServersOptions {
  readonly inherited: readonly InheritedFuse[]
  readonly mountpoints: Readonly<Record<TreeClass, string>>
  /** The folder that holds `trees.db` and the indexes. */
  readonly treesDir: string
  readonly dispatchers: number
  /** Longest time from a request of the kernel to its answer. */
  readonly deadlineMs: number
  readonly readAheadKib: number
  /** True: every request is logged at level debug. */
  readonly trace: boolean
}

export interface FuseServersModules {
  readonly content: ContentReader
  /** Fetches the rest of a partial index; see `FuseServerModules`. */
  readonly completeIndex: CompleteIndex
  readonly onHead: HeadListener
  readonly log: Log
  /** Sends the outcome of an INIT to the keeper, which keeps it with the descriptor. */
  readonly onInit: (treeClass: TreeClass, negotiated: NegotiatedInit) => Promise<void>
}

export class FuseServers {
  readonly #servers: ReadonlyMap<TreeClass, FuseServer>
  readonly #mountpoints: Readonly<Record<TreeClass, string>>
  #threadsEnded = true

  private constructor(
    servers: ReadonlyMap<TreeClass, FuseServer>,
    mountpoints: Readonly<Record<TreeClass, string>>,
  ) {
    this.#servers = servers
    this.#mountpoints = mountpoints
  }

  /**
   * Starts a server on each descriptor. Where one fails, stops the others and throws its error. The
   * caller stops the servers.
   */
  static async start(
    options: FuseServersOptions,
    modules: FuseServersModules,
  ): Promise<FuseServers> {
    const servers = new Map<TreeClass, FuseServer>()
    const started = new FuseServers(servers, options.mountpoints)
    try {
      for (const inherited of options.inherited) {
        servers.set(inherited.class, await startOne(inherited, options, modules))
      }
      return started
    } catch (error) {
      await started.stop()
      throw error
    }
  }

  counts(): Record<TreeClass, ServerCounts> {
    return { plain: this.#countsOf('plain'), xattr: this.#countsOf('xattr') }
  }

  /** The server of a class. Throws `tree-unavailable` where the keeper has no superblock for it. */
  server(treeClass: TreeClass): FuseServer {
    const server = this.#servers.get(treeClass)
    if (server !== undefined) return server
    throw new FusefsError('tree-unavailable', `no superblock of class ${treeClass} is served`)
  }

  /** Starts the threads of a class. This process must not use the mount before this resolves. */
  async prepare(treeClass: TreeClass): Promise<void> {
    await this.server(treeClass).startThreads()
  }

  /** Resolves when every mount that threads serve has answered a request. */
  async answered(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.answered()))
  }

  mountpoint(treeClass: TreeClass): string {
    return this.#mountpoints[treeClass]
  }

  /** Tells threads and kernel that the list of trees has changed, and which slots were removed. */
  async treesChanged(removedSlots: readonly number[]): Promise<void> {
    await Promise.all(
      [...this.#servers.values()].map((server) => server.treesChanged(removedSlots)),
    )
  }

  /**
   * Resolves with the class of the first mount that goes away. Only an operator unmounts one. Does
   * not resolve while all mounts stay.
   */
  async lost(): Promise<TreeClass> {
    return Promise.race(
      [...this.#servers].map(([treeClass, { ended }]) => ended.then(() => treeClass)),
    )
  }

  /** Ends the threads and leaves the mounts. Idempotent. */
  async stop(): Promise<void> {
    const ended = await Promise.all([...this.#servers.values()].map((server) => server.stop()))
    this.#threadsEnded = ended.every((one) => one)
  }

  /** False when a thread did not end in `stop`. The process must then be killed. */
  get threadsEnded(): boolean {
    return this.#threadsEnded
  }

  #countsOf(treeClass: TreeClass): ServerCounts {
    const none = {
      ...{ requests: {}, bytesRead: 0, bytesStored: 0, misses: 0 },
      ...{ errors: 0, faults: 0, refused: 0 },
    }
    return this.#servers.get(treeClass)?.counts() ?? none
  }
}

async function startOne(
  inherited: InheritedFuse,
  options: FuseServersOptions,
  modules: FuseServersModules,
): Promise<FuseServer> {
  const { class: treeClass, fd, negotiated } = inherited
  const { content, completeIndex, onHead, log, onInit } = modules
  const mountpoint = options.mountpoints[treeClass]
  const server = await FuseServer.start(
    {
      fd,
      mountpoint,
      trees: { kind: 'registry', dir: options.treesDir, class: treeClass },
      dispatchers: options.dispatchers,
      deadlineMs: options.deadlineMs,
      trace: options.trace,
      ...(negotiated !== undefined && { negotiated }),
    },
    { content, completeIndex, onHead, log, onInit: (agreed) => onInit(treeClass, agreed) },
  )
  try {
    await setReadAhead(mountpoint, options.readAheadKib)
  } catch (error) {
    // sysfs may be read-only. Reads are then shorter; serving goes on.
    log.warn({ err: error, mountpoint }, 'read-ahead stays at the default of the kernel')
  }
  return server
}
