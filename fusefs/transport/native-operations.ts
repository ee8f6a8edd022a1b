/**
 * Answers requests by path, as libfuse's high-level interface makes them. All requests run on the
 * event loop. This is slower than dispatcher threads and fast enough to look at a tree.
 *
 * This transport cannot express the following. Inode numbers of the index: libfuse makes its own,
 * so hard links look like separate files. Times below a millisecond. Names and link targets that
 * are not UTF-8: such names are left out of listings, and such targets answer EILSEQ. Seeking
 * holes. Negative caching.
 */
import { constants } from 'node:os'
import { LRUCache } from 'lru-cache'
import { ROOT_INO } from '../../index-format/index.js'
import { FusefsError } from '../errors.js'
import { ERRNO, errnoOf, isFault } from '../filesystem/errno.js'
import type { Filesystem } from '../filesystem/filesystem.js'
import { ROOT_SLOT } from '../filesystem/node-id.js'
import type { Log } from '../log.js'
import { PackTables } from '../trees/pack-tables.js'
import type { Attributes } from '../wire/attributes.js'
import { DEFAULT_REQUEST_DEADLINE_MS, requestDeadline } from '../waiting/request-deadline.js'
import type { ContentReader } from './content-reader.js'

export interface NativeModules {
  readonly filesystem: Filesystem
  readonly content: ContentReader
  readonly log: Log
  /** Aborted at unmount, to end the reads in flight. */
  readonly signal: AbortSignal
}

/** The stat fields that fuse-native takes. */
export interface PathStat {
  readonly mode: number
  readonly uid: number
  readonly gid: number
  readonly size: number
  readonly nlink: number
  readonly rdev: number
  readonly blksize: number
  readonly blocks: number
  readonly atime: number
  readonly mtime: number
  readonly ctime: number
}

const MAX_CACHED_PATHS = 65_536
const LIST_BATCH = 1024
const BLOCK_BYTES = 4096
const UTF8 = new TextDecoder('utf-8', { fatal: true })

/** Answers requests by path. `errnoOfNative` maps the errors that the methods throw to errno. */
export class NativeOperations {
  readonly #modules: NativeModules
  readonly #tables = new PackTables()
  readonly #inos = new LRUCache<string, number>({ max: MAX_CACHED_PATHS })

  constructor(modules: NativeModules) {
    this.#modules = modules
  }

  getattr(path: string): PathStat {
    return pathStatFrom(this.#modules.filesystem.attributes(ROOT_SLOT, this.#resolve(path)))
  }

  readdir(path: string): string[] {
    const { filesystem, log } = this.#modules
    const ino = this.#resolve(path)
    const names: string[] = []
    let omitted = 0
    for (let offset = 0; ;) {
      const entries = filesystem.readdir(ROOT_SLOT, ino, offset, LIST_BATCH)
      if (entries.length === 0) break
      for (const entry of entries) {
        offset = entry.nextOffset
        const name = textOf(entry.name)
        if (name === undefined) omitted++
        else names.push(name)
      }
    }
    if (omitted > 0) log.warn({ path, omitted }, 'names that are not UTF-8 are not shown')
    return names
  }

  readlink(path: string): string {
    const target = textOf(this.#modules.filesystem.readlink(ROOT_SLOT, this.#resolve(path)))
    if (target !== undefined) return target
    throw new NotTextError(`the target of ${path} is not UTF-8`)
  }

  /**
   * Fills `target` from `offset` of the file. Resolves to the number of bytes, which is less than
   * `target.length` at the end of the file.
   */
  async read(path: string, target: Uint8Array, offset: number): Promise<number> {
    const { signal } = this.#modules
    const scope = requestDeadline(signal, { deadlineMs: DEFAULT_REQUEST_DEADLINE_MS })
    try {
      return await this.#readWithin(scope.signal, path, target, offset)
    } finally {
      scope.close()
    }
  }

  async #readWithin(
    signal: AbortSignal,
    path: string,
    target: Uint8Array,
    offset: number,
  ): Promise<number> {
    const { filesystem, content } = this.#modules
    const plan = filesystem.plan(ROOT_SLOT, this.#resolve(path), offset, target.length)
    const { record } = plan.tree
    // Content is read into a separate buffer, because libfuse's may be freed after an abort.
    const bytes = new Uint8Array(plan.lengthBytes)
    await Promise.all(
      plan.runs.map(async (run) => {
        const part = bytes.subarray(run.targetOffset, run.targetOffset + run.length)
        await content.read(
          record,
          this.#tables.get(plan.tree, run.pack),
          run.rawOffset,
          part,
          signal,
        )
      }),
    )
    target.set(bytes)
    return plan.lengthBytes
  }

  xattr(path: string, name: string): Buffer | undefined {
    const value = this.#modules.filesystem.xattr(
      ROOT_SLOT,
      this.#resolve(path),
      Buffer.from(name, 'utf8'),
    )
    return value && Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  }

  xattrNames(path: string): string[] {
    const names = this.#modules.filesystem.xattrNames(ROOT_SLOT, this.#resolve(path))
    return names.map(textOf).filter((name) => name !== undefined)
  }

  statfs(): Readonly<Record<string, number>> {
    const { inodes, storedBytes } = this.#modules.filesystem.totals(ROOT_SLOT)
    return {
      bsize: BLOCK_BYTES,
      frsize: BLOCK_BYTES,
      blocks: Math.ceil(storedBytes / BLOCK_BYTES),
      files: inodes,
      namemax: 255,
    }
  }

  /** The errno of a failure, as a positive number. Logs a failure for which `isFault` is true. */
  errnoOfNative(error: unknown, path: string): number {
    if (error instanceof NotTextError) return constants.errno.EILSEQ
    if (error instanceof NoEntryError) return ERRNO.ENOENT
    if (isFault(error)) this.#modules.log.error({ err: error, path }, 'a request was answered EIO')
    return errnoOf(error)
  }

  #resolve(path: string): number {
    if (path === '/' || path === '') return ROOT_INO
    const known = this.#inos.get(path)
    if (known !== undefined) return known
    const slash = path.lastIndexOf('/')
    const parent = this.#resolve(path.slice(0, slash))
    const name = Buffer.from(path.slice(slash + 1), 'utf8')
    const found = this.#modules.filesystem.lookup(ROOT_SLOT, parent, name)
    if (found === undefined) throw new NoEntryError(path)
    // The slot is 0, so the node id is the inode number.
    this.#inos.set(path, found.nodeId)
    return found.nodeId
  }
}

/** This error and the next never leave the layer: `errnoOfNative` turns them into an errno. */
class NoEntryError extends FusefsError {
  constructor(path: string) {
    super('stale-node', `${path} is not in the tree`)
  }
}

class NotTextError extends FusefsError {
  constructor(message: string) {
    super('invalid-argument', message)
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return UTF8.decode(bytes)
  } catch {
    return undefined
  }
}

function pathStatFrom(attributes: Attributes): PathStat {
  const timeMs = attributes.mtimeSec * 1000 + Math.floor(attributes.mtimeNsec / 1_000_000)
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.sizeBytes,
    nlink: attributes.nlink,
    rdev: attributes.rdev,
    blksize: BLOCK_BYTES,
    blocks: attributes.blocks,
    atime: timeMs,
    mtime: timeMs,
    ctime: timeMs,
  }
}
