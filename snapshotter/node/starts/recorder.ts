/**
 * Records the pages of a tree that are read, in order, and the directories in which names are
 * looked up. First, the tree's names and pages are dropped from the kernel's caches, and read-ahead
 * is set to 0, so that the kernel asks for every page. The recorded start is slow. Recording is
 * meant for publishers.
 */
import type { FuseServer, TreeRecord, TreeRegistry } from '../../../fusefs/index.js'
import {
  AccessOrder,
  directoriesOf,
  Index,
  isDigest,
  type Profile,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { FuseServers } from '../fuse-servers.js'
import type { PartialIndexes } from '../../indexes/partial-indexes.js'
import type { ReadAhead } from './read-ahead.js'

export interface RecorderModules {
  readonly registry: TreeRegistry
  readonly partialIndexes: PartialIndexes
  readonly fuse: FuseServers
  readonly readAhead: ReadAhead
  /** Called with the slot of a tree that is about to be recorded. */
  readonly onRecord: (slot: number) => void
}

interface Recording {
  readonly tree: TreeRecord
  readonly order: AccessOrder
  readonly directories: Set<number>
  readonly stop: () => void
  /** Ends the recording of directories. Set once it has begun. */
  stopLooking: () => void
  /** Releases read-ahead. Set once it is held. */
  release: () => Promise<void>
}

/** The result of `start`. */
export interface RecordingStarted {
  /** The tree's name. */
  readonly tree: string
  readonly indexDigest: string
  /** Number of regular files that the kernel had cached. */
  readonly droppedFiles: number
}

/** Reads after this many bytes are not recorded, because they are no part of a start. */
const MAX_RECORDED_BYTES = 1024 ** 3
/** Files that are handled in one turn of the event loop. */
const FILES_PER_TURN = 256

export class Recorder {
  readonly #modules: RecorderModules
  readonly #recordings = new Map<number, Recording>()

  constructor(modules: RecorderModules) {
    this.#modules = modules
  }

  /**
   * Begins to record. `treeName` is the tree's directory name or the digest of its index. Throws
   * `not-found` for an unknown tree, `already-exists` for a tree that is being recorded, and the
   * errors of `PartialIndexes.complete`. The caller calls `stop`.
   */
  async start(treeName: string, signal: AbortSignal): Promise<RecordingStarted> {
    const tree = this.#tree(treeName)
    const { slot, indexDigest } = tree
    if (this.#recordings.has(slot)) {
      throw new SnapshotterError('already-exists', `tree ${tree.name} is being recorded already`)
    }
    this.#modules.onRecord(slot)
    const server = this.#modules.fuse.server(tree.class)
    const order = new AccessOrder()
    const directories = new Set<number>()
    let recordedBytes = 0
    const recording: Recording = {
      ...{ tree, order, directories },
      stop: server.recordReads(slot, (ino, offset, sizeBytes) => {
        if (recordedBytes >= MAX_RECORDED_BYTES) return
        recordedBytes += sizeBytes
        order.add(ino, offset, sizeBytes)
      }),
      stopLooking: () => undefined,
      release: () => Promise.resolve(),
    }
    this.#recordings.set(slot, recording)
    try {
      const { release } = await this.#modules.readAhead.hold(tree.class)
      recording.release = release
      await this.#modules.partialIndexes.complete(indexDigest, signal)
      recording.stopLooking = await server.recordLooks(slot, (ino) => directories.add(ino))
      const droppedFiles = await this.#dropFiles(tree, server, signal)
      return { tree: tree.name, indexDigest, droppedFiles }
    } catch (error) {
      await this.#end(recording)
      throw error
    }
  }

  /**
   * Ends a recording and returns its profile, with `commands` in it. Throws `not-found` if the tree
   * is unknown or not being recorded.
   */
  async stop(treeName: string, commands: readonly string[]): Promise<Profile> {
    const tree = this.#tree(treeName)
    const recording = this.#recordings.get(tree.slot)
    if (recording === undefined) {
      throw new SnapshotterError('not-found', `tree ${tree.name} is not being recorded`)
    }
    await this.#end(recording)
    const { order, directories } = recording
    return {
      ...{ index: tree.indexDigest, commands, ranges: order.ranges() },
      ...directoriesOf([{ directories: [...directories] }]),
    }
  }

  /** Ends every recording. Idempotent. */
  async close(): Promise<void> {
    for (const recording of [...this.#recordings.values()]) await this.#end(recording)
  }

  async #end(recording: Recording): Promise<void> {
    recording.stop()
    recording.stopLooking()
    this.#recordings.delete(recording.tree.slot)
    await recording.release()
  }

  #tree(name: string): TreeRecord {
    const { registry } = this.#modules
    const found = isDigest(name)
      ? registry.byIndex(name)
      : registry.list().filter((tree) => tree.name === name)
    const [tree] = found
    if (tree !== undefined) return tree
    throw new SnapshotterError(
      'not-found',
      `tree "${name.slice(0, 100)}": none of this name or index is served here; pull the image first`,
    )
  }

  async #dropFiles(tree: TreeRecord, server: FuseServer, signal: AbortSignal): Promise<number> {
    const index = Index.open(this.#modules.registry.indexPath(tree.indexDigest))
    let dropped = 0
    try {
      for (let ino = 1; ino <= index.meta.inodes; ino++) {
        signal.throwIfAborted()
        if (ino % FILES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve))
        const inode = index.inode(ino)
        if (inode === undefined || inode.storedBytes === 0) continue
        if (await server.kernelCache.drop(tree.slot, ino)) dropped++
      }
    } finally {
      index.close()
    }
    return dropped
  }
}
