/** What dispatcher threads and the server say to each other. */
import type { MirrorShared } from '../content/mirror-view.js'
import type { TreeSourceSpec } from '../trees/source-spec.js'

/** `workerData` of a dispatcher thread. */
export interface DispatcherData {
  /** /dev/fuse, mounted; stays the server's. */
  readonly fd: number
  readonly trees: TreeSourceSpec
  readonly changes: SharedArrayBuffer
  /** `Int32Array` of one element: not 0 once the dispatchers are to end. */
  readonly stopping: SharedArrayBuffer
  /** A LOOKUP of a name that begins like this, in the root, while stopping, is for one dispatcher to end. */
  readonly wakePrefix: string
  /** See `RecordedSlots`: trees whose READs are recorded. */
  readonly recorded: SharedArrayBuffer
  /** See `RecordedSlots`: trees of which it is recorded where something is looked for. */
  readonly watched: SharedArrayBuffer
  readonly stats: SharedArrayBuffer
  readonly statsRow: number
  /** Whether to post a `trace` line for every request and reply. */
  readonly trace: boolean
}

/** A request's number, in halves: it does not fit a number. */
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
  /** The reading thread, 0 when not visible. */
  readonly pid: number
}

/** A READ of a tree that is being recorded, as the kernel asked it. */
export interface RecordedRead {
  readonly kind: 'read'
  readonly slot: number
  readonly ino: number
  readonly offset: number
  readonly size: number
}

/** A request of a tree that is being recorded, which looks for a name or lists names. */
export interface RecordedLook {
  readonly kind: 'look'
  readonly slot: number
  /** The directory. */
  readonly ino: number
}

/** A request that cannot be answered before the whole index is here. The server answers it. */
export interface ParkedRequest {
  readonly kind: 'parked'
  readonly unique: Unique
  readonly slot: number
  /** The thread that asks, 0 when not visible. */
  readonly pid: number
  /** As the kernel wrote it. */
  readonly request: Uint8Array
}

export type DispatcherMessage =
  /** The thread has loaded everything it needs and reads requests from now on. */
  | { readonly kind: 'ready' }
  | Miss
  | RecordedRead
  | RecordedLook
  | ParkedRequest
  /** A signal hit the thread that waits for this request. */
  | { readonly kind: 'interrupt'; readonly unique: Unique }
  /** An index, content or this program is at fault; the reader got an errno. */
  | { readonly kind: 'fault'; readonly request: string; readonly error: Error }
  | { readonly kind: 'trace'; readonly line: string }
  /** `unmounted`: /dev/fuse has nothing to read any more. `stopped`: as asked. */
  | { readonly kind: 'ended'; readonly reason: 'unmounted' | 'stopped' }

/** To the dispatchers: the mirror of a pack, as seen from a tree. Read at the next miss, not before. */
export interface MirrorMessage {
  readonly slot: number
  readonly pack: number
  readonly shared: MirrorShared
}
