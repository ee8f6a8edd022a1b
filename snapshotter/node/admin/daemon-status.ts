/** What a daemon says of itself: one snapshot of its state, as `thinctl status --json` prints it. */
import type { ContentStats, ServerCounts, TreeClass } from '../../../fusefs/index.js'

/** A tree that this node serves. */
export interface TreeStatus {
  readonly slot: number
  readonly class: TreeClass
  /** Its directory: a lowerdir of containers. */
  readonly path: string
  readonly indexDigest: string
  /** Whether only a part of the index is here yet: that which a start looks at. */
  readonly isIndexPartial: boolean
  readonly stores: readonly string[]
  /** How many snapshots use it. */
  readonly snapshots: number
  /** Regular files, and their bytes; 0 and an `error` when the index cannot be read. */
  readonly files: number
  readonly sizeBytes: number
  /** Uncompressed bytes of its packs that are in the local cache; shared ones count for every tree. */
  readonly cachedBytes: number
  /** Uncompressed bytes of all its packs. */
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

/** How far completing images in the background is. */
export interface BackgroundStatus {
  /** `waiting`: for a while without reads that miss. `done`: for now, there is nothing to do. */
  readonly state: 'off' | 'paused' | 'waiting' | 'running' | 'done'
  readonly completeTrees: number
  /** Trees that the cache has no room for. */
  readonly treesWithoutRoom: number
  /** Trees whose store failed; they are tried again. */
  readonly failedTrees: number
}

export interface DaemonStatus {
  readonly version: string
  readonly pid: number
  readonly uptimeSec: number
  /** The socket that containerd is to be configured with. */
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
