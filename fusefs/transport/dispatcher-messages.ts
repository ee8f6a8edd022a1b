/** The messages between dispatcher threads and the server. */
import type { MirrorShared } from '../content/mirror-view.js'
import type { TreeSourceSpec } from '../trees/source-spec.js'

/** `workerData` of a dispatcher thread. */
export interface DispatcherData {
  /** /dev/fuse, mounted. A dispatcher must not close it. */
  readonly fd: number
  readonly trees: TreeSourceSpec
  /** See `RegisteredTreesOptions.changes`. */
  readonly changes: SharedArrayBuffer
  /** Memory of an `Int32Array` of one element. It is not 0 once the dispatchers must end. */
  readonly stopping: SharedArrayBuffer
  /**
   * While `stopping` is set, a LOOKUP in the root of a name with this prefix is a wake-up: the
   * dispatcher that reads it ends.
   */
  readonly wakePrefix: string
  /** Memory of a `RecordedSlots`: the trees whose READs are recorded. */
  readonly recorded: SharedArrayBuffer
  /** Memory of a `RecordedSlots`: the trees whose lookups and listings are recorded. */
  readonly watched: SharedArrayBuffer
  /** Memory of the server's `ServerStats`. */
  readonly stats: SharedArrayBuffer
  /** This dispatcher's row in `stats`. */
  readonly statsRow: number
  /** Whether to post a `trace` line for every request and reply. */
  readonly trace: boolean
}

/** A request's number in two halves of 32 bits: its 64 bits do not fit a JavaScript number. */
export interface Unique {
  readonly low: number
  readonly high: number
}

/** A READ whose bytes are not local. The server answers it. */
export interface Miss {
  readonly kind: 'miss'
  readonly unique: Unique
  readonly slot: number
  readonly ino: number
  readonly offset: number
  readonly size: number
  /** Id of the reading thread; 0 when it is not visible to this process. */
  readonly pid: number
}

/** A READ of a tree whose READs are recorded, with the range that the kernel asked for. */
export interface RecordedRead {
  readonly kind: 'read'
  readonly slot: number
  readonly ino: number
  readonly offset: number
  readonly size: number
}

/** A request that looks up or lists names in a tree whose lookups are recorded. */
export interface RecordedLook {
  readonly kind: 'look'
  readonly slot: number
  /** The directory's inode number. */
  readonly ino: number
}

/** A request that cannot be answered before the whole index has arrived. The server answers it. */
export interface ParkedRequest {
  readonly kind: 'parked'
  readonly unique: Unique
  readonly slot: number
  /** Id of the thread that made the request; 0 when it is not visible to this process. */
  readonly pid: number
  /** The request's bytes, as read from /dev/fuse. */
  readonly request: Uint8Array
}

export type DispatcherMessage =
  /** The thread has loaded everything it needs and reads requests from now on. */
  | { readonly kind: 'ready' }
  | Miss
  | RecordedRead
  | RecordedLook
  | ParkedRequest
  /** The dispatcher has forgotten the mirror of this pack of a tree; see `LocalMirrors`. */
  | { readonly kind: 'forgotten'; readonly slot: number; readonly pack: number }
  /** A signal hit the thread that waits for this request. */
  | { readonly kind: 'interrupt'; readonly unique: Unique }
  /** A request failed because of an index, content or a bug. It was answered with an errno. */
  | { readonly kind: 'fault'; readonly request: string; readonly error: Error }
  | { readonly kind: 'trace'; readonly line: string }
  /** `unmounted`: the mount is gone. `stopped`: the dispatcher read a wake-up. */
  | { readonly kind: 'ended'; readonly reason: 'unmounted' | 'stopped' }

/** Announces the mirror of a tree's pack. A dispatcher reads the message at its next miss. */
export interface MirrorMessage {
  readonly slot: number
  /** The pack's key in the tree's index. */
  readonly pack: number
  readonly shared: MirrorShared
}
