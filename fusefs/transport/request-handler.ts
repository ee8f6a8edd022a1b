/**
 * Answers one request of the kernel from a `Filesystem`. It is synchronous, uses no network and has
 * no state of its own, so that any dispatcher thread can answer any request. A READ whose bytes are
 * not local is a `miss`, which the server answers.
 */
import { ERRNO, errnoOf, isFault, isIncomplete } from '../filesystem/errno.js'
import type { Filesystem } from '../filesystem/filesystem.js'
import { type ReadPlan, zeroHoles } from '../filesystem/read-plan.js'
import type { TreeClass } from '../trees/tree-registry.js'
import type { Validity } from '../wire/attributes.js'
import { decodeInit, encodeInit } from '../wire/init.js'
import { MUTATING_OPCODES, OPCODES } from '../wire/opcodes.js'
import { OUT_HEADER_BYTES, type Reply } from '../wire/reply.js'
import type { Request } from '../wire/request.js'

/**
 * What to do after `handle`:
 * - `reply`: write the reply.
 * - `none`: write nothing, because the request has no answer.
 * - `miss`: write nothing. The request is a READ whose bytes are not local.
 * - `incomplete`: write nothing. The answer is in a part of the index that has not arrived yet.
 * - `ended`: write the reply. The connection is then over (DESTROY).
 */
export type Outcome = 'reply' | 'none' | 'miss' | 'incomplete' | 'ended'

/** Content that can be read without waiting. */
export interface LocalContent {
  /**
   * Fills `target` from `rawOffset` of a pack of the tree. Returns false when the bytes are not
   * local; `target` then holds undefined bytes.
   */
  tryRead(slot: number, pack: number, target: Uint8Array, rawOffset: number): boolean
}

export interface HandlerModules {
  readonly filesystem: Filesystem
  readonly content: LocalContent
  /** Called for each failure that is a fault of the index, the content or the program. */
  readonly onFault: (error: unknown, request: Request) => void
}

/** Ten years: a node never changes, and its id is never used for another node. */
const FOREVER_SEC = 315_360_000
const FOREVER: Validity = { entrySec: FOREVER_SEC, attrSec: FOREVER_SEC }
/**
 * How long the kernel caches attributes of the directory that lists the trees. It changes when
 * trees are added or removed; the entries in it do not change.
 */
const TREE_LIST_ATTR_SEC = 1
/** Size of an entry with a name of 9 to 16 bytes. It only decides how many are read at a time. */
const USUAL_DIRENT_BYTES = 40
const USUAL_DIRENTPLUS_BYTES = 168
const BLOCK_BYTES = 4096
const SEEK_DATA = 3
const SEEK_HOLE = 4

export class RequestHandler {
  readonly #treeClass: TreeClass
  readonly #filesystem: Filesystem
  readonly #content: LocalContent
  readonly #onFault: (error: unknown, request: Request) => void

  constructor(options: { class: TreeClass }, modules: HandlerModules) {
    this.#treeClass = options.class
    this.#filesystem = modules.filesystem
    this.#content = modules.content
    this.#onFault = modules.onFault
  }

  /** Answers `request` in `reply`. Never throws: a failure becomes an errno in the reply. */
  handle(request: Request, reply: Reply): Outcome {
    reply.begin(request)
    try {
      return this.#dispatch(request, reply)
    } catch (error) {
      if (isIncomplete(error)) return 'incomplete'
      if (isFault(error)) this.#onFault(error, request)
      reply.fail(errnoOf(error))
      return 'reply'
    }
  }

  #dispatch(request: Request, reply: Reply): Outcome {
    switch (request.opcode) {
      case OPCODES.LOOKUP:
        return this.#lookup(request, reply)
      case OPCODES.GETATTR:
        return this.#getattr(request, reply)
      case OPCODES.READ:
        return this.#read(request, reply)
      case OPCODES.READDIRPLUS:
      case OPCODES.READDIR:
        return this.#readdir(request, reply)
      case OPCODES.READLINK:
        reply.bytes(this.#filesystem.readlink(request.slot, request.ino))
        return 'reply'
      case OPCODES.GETXATTR:
        return this.#getxattr(request, reply)
      case OPCODES.LISTXATTR:
        return this.#listxattr(request, reply)
      case OPCODES.LSEEK:
        return this.#lseek(request, reply)
      case OPCODES.STATFS:
        return this.#statfs(request, reply)
      case OPCODES.INIT:
        encodeInit(reply, decodeInit(request))
        return 'reply'
      case OPCODES.FORGET:
      case OPCODES.BATCH_FORGET:
      case OPCODES.INTERRUPT:
      case OPCODES.NOTIFY_REPLY:
        return 'none'
      case OPCODES.DESTROY:
        return 'ended'
      default:
        // The kernel remembers ENOSYS to OPEN, OPENDIR, FLUSH, ACCESS or STATX and does not send
        // that request again.
        reply.fail(MUTATING_OPCODES.has(request.opcode) ? ERRNO.EROFS : ERRNO.ENOSYS)
        return 'reply'
    }
  }

  #statfs(request: Request, reply: Reply): Outcome {
    const { inodes, storedBytes } = this.#filesystem.totals(request.slot)
    reply.statfs({
      blocks: Math.ceil(storedBytes / BLOCK_BYTES),
      files: inodes,
      blockSizeBytes: BLOCK_BYTES,
      nameLengthBytes: 255,
    })
    return 'reply'
  }

  #lookup(request: Request, reply: Reply): Outcome {
    const { slot, ino } = request
    const attributes = this.#filesystem.lookup(slot, ino, request.readName())
    if (attributes !== undefined) reply.entry(attributes, FOREVER)
    else if (this.#filesystem.isTreeList(slot)) reply.fail(ERRNO.ENOENT)
    else reply.negativeEntry(FOREVER_SEC)
    return 'reply'
  }

  #getattr(request: Request, reply: Reply): Outcome {
    const { slot, ino } = request
    const validSec = this.#filesystem.isTreeList(slot) ? TREE_LIST_ATTR_SEC : FOREVER_SEC
    reply.attr(this.#filesystem.attributes(slot, ino), validSec)
    return 'reply'
  }

  #read(request: Request, reply: Reply): Outcome {
    const { offset, size } = readRange(request)
    const plan = this.#filesystem.plan(
      request.slot,
      request.ino,
      offset,
      Math.min(size, reply.room),
    )
    const target = reply.reserve(plan.lengthBytes)
    return this.#fill(plan, request.slot, target) ? 'reply' : 'miss'
  }

  #fill(plan: ReadPlan, slot: number, target: Uint8Array): boolean {
    for (const run of plan.runs) {
      const whole = run.length === target.length
      const part = whole ? target : target.subarray(run.targetOffset, run.targetOffset + run.length)
      if (!this.#content.tryRead(slot, run.pack, part, run.rawOffset)) return false
    }
    zeroHoles(plan, target)
    return true
  }

  #readdir(request: Request, reply: Reply): Outcome {
    const { slot, ino } = request
    const { offset, size } = readRange(request)
    const limitBytes = Math.min(size, reply.room)
    const plus = request.opcode === OPCODES.READDIRPLUS
    let next = offset
    for (;;) {
      const leftBytes = limitBytes - (reply.lengthBytes - OUT_HEADER_BYTES)
      const batch = Math.ceil(leftBytes / (plus ? USUAL_DIRENTPLUS_BYTES : USUAL_DIRENT_BYTES))
      const entries = plus
        ? this.#filesystem.readdirPlus(slot, ino, next, batch)
        : this.#filesystem.readdir(slot, ino, next, batch)
      if (entries.length === 0) return 'reply'
      for (const entry of entries) {
        const fits = plus
          ? reply.direntPlus(entry, entry.attributes, FOREVER, limitBytes)
          : reply.dirent(entry, limitBytes)
        if (!fits) return 'reply'
        next = entry.nextOffset
      }
    }
  }

  #getxattr(request: Request, reply: Reply): Outcome {
    if (this.#treeClass === 'plain') {
      reply.fail(ERRNO.ENOSYS)
      return 'reply'
    }
    const size = request.readUint32()
    request.skip(4)
    const value = this.#filesystem.xattr(request.slot, request.ino, request.readName())
    if (value === undefined) reply.fail(ERRNO.ENODATA)
    else if (size === 0) reply.xattrSize(value.length)
    else if (value.length > size) reply.fail(ERRNO.ERANGE)
    else reply.bytes(value)
    return 'reply'
  }

  /**
   * Answers also in the class without extended attributes. There, ENOSYS would become EOPNOTSUPP
   * for programs, while other filesystems list no names for a file without attributes. Answering
   * costs little, because LISTXATTR is rare, unlike GETXATTR.
   */
  #listxattr(request: Request, reply: Reply): Outcome {
    const size = request.readUint32()
    const none = this.#treeClass === 'plain'
    const names = none ? [] : this.#filesystem.xattrNames(request.slot, request.ino)
    const sizeBytes = names.reduce((sum, name) => sum + name.length + 1, 0)
    if (size === 0) reply.xattrSize(sizeBytes)
    else if (sizeBytes > size) reply.fail(ERRNO.ERANGE)
    else {
      const target = reply.reserve(sizeBytes)
      let at = 0
      for (const name of names) {
        target.set(name, at)
        target[at + name.length] = 0
        at += name.length + 1
      }
    }
    return 'reply'
  }

  #lseek(request: Request, reply: Reply): Outcome {
    const { slot, ino } = request
    request.skip(8)
    const offset = request.readUint53()
    const whence = request.readUint32()
    if (whence === SEEK_DATA) reply.position(this.#filesystem.seekData(slot, ino, offset))
    else if (whence === SEEK_HOLE) reply.position(this.#filesystem.seekHole(slot, ino, offset))
    else reply.fail(ERRNO.EINVAL)
    return 'reply'
  }
}

/** Reads offset and size from `struct fuse_read_in`, which READ, READDIR and READDIRPLUS share. */
export function readRange(request: Request): { offset: number; size: number } {
  request.skip(8)
  return { offset: request.readUint53(), size: request.readUint32() }
}
