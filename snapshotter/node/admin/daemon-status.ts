/** What a daemon says of itself: one snapshot of its state, as `thinctl status --json` prints it. */
import {
  type ContentStats,
  createContentStats,
  type ServerCounts,
  serverCountsFromJson,
  type TreeClass,
} from '../../../fusefs/index.js'
import { SnapshotterError } from '../../errors.js'
import { JsonObject } from '../../images/registry/index.js'

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
    /** Why the snapshots cannot be counted. The numbers are then 0. Absent if they can. */
    readonly problem?: string
  }
  readonly trees: readonly TreeStatus[]
  readonly cache: CacheStatus
  readonly background: BackgroundStatus
  readonly content: Readonly<ContentStats>
  readonly fuse: Readonly<Record<TreeClass, ServerCounts>>
  /** Resident set of the daemon process. */
  readonly memoryBytes: number
}

const TREE_CLASSES: readonly TreeClass[] = ['plain', 'xattr']
const BACKGROUND_STATES: readonly BackgroundStatus['state'][] = [
  'off',
  'paused',
  'waiting',
  'running',
  'done',
]
const MAX_TREES = 1_000_000
const MAX_STORES = 1000
const MAX_COUNT = Number.MAX_SAFE_INTEGER

/**
 * Reads the answer to `GET /v1/status`. A counter of `content` that an older daemon does not have is 0.
 * Throws `invalid-content`, naming the field, where the answer is not a `DaemonStatus`.
 */
export function daemonStatusFromJson(text: string): DaemonStatus {
  const status = JsonObject.parse(Buffer.from(text), 'status of the daemon')
  const snapshots = status.object('snapshots')
  const problem = snapshots.optionalString('problem')
  const fuse = status.object('fuse')
  return {
    version: status.string('version'),
    pid: status.size('pid', MAX_COUNT),
    uptimeSec: status.size('uptimeSec', MAX_COUNT),
    address: status.string('address'),
    root: status.string('root'),
    snapshots: {
      committed: snapshots.size('committed', MAX_COUNT),
      active: snapshots.size('active', MAX_COUNT),
      view: snapshots.size('view', MAX_COUNT),
      thin: snapshots.size('thin', MAX_COUNT),
      ...(problem !== undefined && { problem }),
    },
    trees: status.objects('trees', MAX_TREES).map(treeFromJson),
    cache: cacheFromJson(status.object('cache')),
    background: backgroundFromJson(status.object('background')),
    content: contentFromJson(status.object('content')),
    fuse: { plain: countsFromJson(fuse, 'plain'), xattr: countsFromJson(fuse, 'xattr') },
    memoryBytes: status.size('memoryBytes', MAX_COUNT),
  }
}

function treeFromJson(tree: JsonObject): TreeStatus {
  const error = tree.optionalString('error')
  return {
    slot: tree.size('slot', MAX_COUNT),
    class: tree.oneOf('class', TREE_CLASSES),
    path: tree.string('path'),
    indexDigest: tree.string('indexDigest'),
    isIndexPartial: tree.boolean('isIndexPartial'),
    stores: tree.strings('stores', MAX_STORES),
    snapshots: tree.size('snapshots', MAX_COUNT),
    files: tree.size('files', MAX_COUNT),
    sizeBytes: tree.size('sizeBytes', MAX_COUNT),
    cachedBytes: tree.size('cachedBytes', MAX_COUNT),
    packBytes: tree.size('packBytes', MAX_COUNT),
    ...(error === undefined ? {} : { error }),
  }
}

function cacheFromJson(cache: JsonObject): CacheStatus {
  return {
    directory: cache.string('directory'),
    usageBytes: cache.size('usageBytes', MAX_COUNT),
    maxBytes: cache.size('maxBytes', MAX_COUNT),
    packs: cache.size('packs', MAX_COUNT),
  }
}

function backgroundFromJson(background: JsonObject): BackgroundStatus {
  return {
    state: background.oneOf('state', BACKGROUND_STATES),
    completeTrees: background.size('completeTrees', MAX_COUNT),
    treesWithoutRoom: background.size('treesWithoutRoom', MAX_COUNT),
    failedTrees: background.size('failedTrees', MAX_COUNT),
  }
}

function contentFromJson(content: JsonObject): ContentStats {
  const stats = createContentStats()
  for (const counter of Object.keys(stats) as (keyof ContentStats)[]) {
    if (Object.hasOwn(content.raw, counter)) stats[counter] = content.size(counter, MAX_COUNT)
  }
  return stats
}

function countsFromJson(fuse: JsonObject, treeClass: TreeClass): ServerCounts {
  try {
    return serverCountsFromJson(fuse.raw[treeClass])
  } catch (cause) {
    const message = `status of the daemon: fuse: ${treeClass}: not the counters of a mount`
    throw new SnapshotterError('invalid-content', message, { cause })
  }
}
