/** The state of a daemon at one moment, as `thinctl status --json` prints it. */
import type { ContentStats, ServerCounts, TreeClass } from '../../../fusefs/index.js'

/** A tree that this node serves. */
export interface TreeStatus {
  readonly slot: number
  readonly class: TreeClass
  /** The tree's directory, which is a lowerdir of containers. */
  readonly path: string
  readonly indexDigest: string
  /** True while only the index pages that a start reads are on the local disk. */
  readonly isIndexPartial: boolean
  readonly stores: readonly string[]
  /** How many snapshots use the tree. */
  readonly snapshots: number
  /** Number of regular files. 0, with an `error`, when the index cannot be read. */
  readonly files: number
  /** Bytes of the regular files. 0, with an `error`, when the index cannot be read. */
  readonly sizeBytes: number
  /**
   * Uncompressed bytes of the tree's packs in the local cache. A shared pack counts for each tree.
   */
  readonly cachedBytes: number
  /** Uncompressed bytes of all packs of the tree. */
  readonly packBytes: number
  readonly error?: string
}

export interface CacheStatus {
  readonly directory: string
  /** Uncompressed bytes on disk. */
  readonly usageBytes: number
  readonly maxBytes: number
  readonly packs: number
}

/** Progress of completing images in the background. */
export interface BackgroundStatus {
  /**
   * `waiting`: completion begins when no read has missed for a while. `done`: nothing to do now,
   * because each tree is complete, has no room, or failed too recently to be tried again.
   */
  readonly state: 'off' | 'paused' | 'waiting' | 'running' | 'done'
  readonly completeTrees: number
  /** Trees that the cache has no room for. */
  readonly treesWithoutRoom: number
  /** Trees whose store failed. They are tried again. */
  readonly failedTrees: number
}

export interface DaemonStatus {
  readonly version: string
  readonly pid: number
  readonly uptimeSec: number
  /** Path of the snapshots service's socket, for containerd's configuration. */
  readonly address: string
  readonly root: string
  readonly snapshots: {
    readonly committed: number
    readonly active: number
    readonly view: number
    readonly thin: number
  }
  readonly trees: readonly TreeStatus[]
  readonly cache: CacheStatus
  readonly background: BackgroundStatus
  readonly content: Readonly<ContentStats>
  readonly fuse: Readonly<Record<TreeClass, ServerCounts>>
  /** Resident set of the daemon process. */
  readonly memoryBytes: number
}
