/**
 * The read-only filesystem over trees. Its answers are synchronous and the same for every
 * transport. It does not read content: it answers a read with a plan, which the caller carries out.
 * Each thread has its own instance.
 *
 * A name or attribute that does not exist is `undefined`. All other failures are thrown: a
 * `FusefsError` (`errno.ts` maps its code to an errno) or, for a broken or incomplete index, an
 * `IndexFormatError`. The code `stale-node` says that no tree here has the slot or the inode.
 */
import { LRUCache } from 'lru-cache'
import type { DirEntry, Extent, Inode } from '../../index-format/index.js'
import { firstExtentEndingAfter, ROOT_INO } from '../../index-format/reading.js'
import { FusefsError } from '../errors.js'
import { slotFromName } from '../trees/tree-registry.js'
import type { OpenTree, TreeSource } from '../trees/tree-source.js'
import type { Attributes } from '../wire/attributes.js'
import { ROOT_SLOT, nodeIdOf } from './node-id.js'
import { type ReadPlan, runsOf } from './read-plan.js'

const S_IFMT = 0o170000
const S_IFDIR = 0o040000
const S_IFREG = 0o100000
/** Listing offsets: "." is 0, ".." is 1. After the entry with cookie c comes offset c + 2. */
const DOTS = 2
const DOT = new Uint8Array([0x2e])
const DOT_DOT = new Uint8Array([0x2e, 0x2e])
/** Extents kept in memory, summed over all files that were read recently. */
const MAX_CACHED_EXTENTS = 65_536

/** One name of a listing. */
export interface ListedEntry {
  readonly name: Uint8Array
  readonly nodeId: number
  readonly mode: number
  /** The `offset` with which the listing continues after this entry. */
  readonly nextOffset: number
  /**
   * Set by `readdirPlus` only. Undefined for "." and "..", to which the kernel takes no reference,
   * and for a tree whose index cannot be read.
   */
  readonly attributes: Attributes | undefined
}

export interface FilesystemOptions {
  /** `trees`: the root lists all trees by name. `tree`: the tree in slot 0 is the root. */
  readonly root: 'trees' | 'tree'
}

interface FileExtents {
  readonly sizeBytes: number
  readonly extents: readonly Extent[]
}

export class Filesystem {
  readonly #trees: TreeSource
  readonly #listsTrees: boolean
  readonly #files: LRUCache<number, FileExtents>

  /** The caller closes `modules.trees`. */
  constructor(options: FilesystemOptions, modules: { trees: TreeSource }) {
    this.#trees = modules.trees
    this.#listsTrees = options.root === 'trees'
    this.#files = new LRUCache({
      maxSize: MAX_CACHED_EXTENTS,
      sizeCalculation: (file) => 1 + file.extents.length,
    })
  }

  /** Whether this slot is the list of trees. Answers about it must not be cached for long. */
  isTreeList(slot: number): boolean {
    return slot === ROOT_SLOT && this.#listsTrees
  }

  /**
   * The attributes of the entry `name` in a directory; `undefined` when there is no such entry. "."
   * gives the node itself, which need not be a directory. Throws `not-a-directory`.
   */
  lookup(slot: number, ino: number, name: Uint8Array): Attributes | undefined {
    if (isDot(name)) return this.attributes(slot, ino)
    if (this.isTreeList(slot)) return this.#lookupTree(ino, name)
    const tree = this.#open(slot)
    if (isDotDot(name)) return this.#parent(slot, ino)
    const child = tree.index.lookupInode(ino, name)
    if (child !== undefined) return attributesOf(slot, child)
    const parent = tree.index.inode(ino)
    if (parent === undefined) throw stale(slot, ino)
    if (!isType(parent.mode, S_IFDIR)) throw notADirectory(slot, ino)
    return undefined
  }

  attributes(slot: number, ino: number): Attributes {
    if (this.isTreeList(slot)) return treeListAttributes(ino)
    return attributesOf(slot, this.#inode(slot, ino))
  }

  readlink(slot: number, ino: number): Uint8Array {
    const target = this.isTreeList(slot) ? undefined : this.#open(slot).index.readlink(ino)
    if (target !== undefined) return target
    this.attributes(slot, ino)
    throw new FusefsError('invalid-argument', `tree ${slot} inode ${ino} is not a symbolic link`)
  }

  /**
   * Up to `limit` entries of a directory from `offset` on, and "." and ".." in addition; none at
   * the end. Throws `not-a-directory`.
   */
  readdir(slot: number, ino: number, offset: number, limit: number): ListedEntry[] {
    if (this.isTreeList(slot)) return this.#listTrees(ino, offset, limit, false)
    return this.#list(slot, ino, offset, (tree, after) =>
      tree.index.readdir(ino, after, limit).map((entry) => listed(slot, entry, undefined)),
    )
  }

  /** The same as `readdir`, with attributes. */
  readdirPlus(slot: number, ino: number, offset: number, limit: number): ListedEntry[] {
    if (this.isTreeList(slot)) return this.#listTrees(ino, offset, limit, true)
    return this.#list(slot, ino, offset, (tree, after) =>
      tree.index
        .readdirPlus(ino, after, limit)
        .map((entry) => listed(slot, entry, attributesOf(slot, entry.inode))),
    )
  }

  /** Number of inodes and of content bytes in a tree. Both are 0 for the list of trees. */
  totals(slot: number): { inodes: number; storedBytes: number } {
    return this.isTreeList(slot) ? { inodes: 0, storedBytes: 0 } : this.#open(slot).index.meta
  }

  /** The value of an extended attribute; `undefined` when the node has none of that name. */
  xattr(slot: number, ino: number, name: Uint8Array): Uint8Array | undefined {
    return this.isTreeList(slot) ? undefined : this.#open(slot).index.xattr(ino, name)
  }

  /**
   * The names of a node's extended attributes, without those of overlayfs. overlayfs reads its
   * attributes by name. If they were listed, containers would see them and overlayfs would copy
   * them up.
   */
  xattrNames(slot: number, ino: number): Uint8Array[] {
    if (this.isTreeList(slot)) return []
    const names = this.#open(slot)
      .index.xattrs(ino)
      .map((xattr) => xattr.name)
    return names.filter((name) => !isOverlayXattr(name))
  }

  /**
   * The plan of a read of `sizeBytes` from `offset` on. Its length is 0 at or after the end of the
   * file. Throws `is-a-directory`, or `invalid-argument` for another node that is not a regular
   * file.
   */
  plan(slot: number, ino: number, offset: number, sizeBytes: number): ReadPlan {
    const tree = this.#openFileTree(slot, ino)
    const file = this.#file(tree, slot, ino)
    const end = Math.min(offset + sizeBytes, file.sizeBytes)
    if (end <= offset) return { tree, lengthBytes: 0, runs: [] }
    return { tree, lengthBytes: end - offset, runs: runsOf(file.extents, offset, end) }
  }

  /**
   * lseek(2) with SEEK_DATA: the offset of the first data from `offset` on. Throws `beyond-end` and
   * the errors of `plan`.
   */
  seekData(slot: number, ino: number, offset: number): number {
    const file = this.#file(this.#openFileTree(slot, ino), slot, ino)
    const extent = file.extents[firstExtentEndingAfter(file.extents, offset)]
    if (offset >= file.sizeBytes || extent === undefined) throw beyondEnd(slot, ino, offset)
    return Math.max(offset, extent.offset)
  }

  /**
   * lseek(2) with SEEK_HOLE: the offset of the first hole from `offset` on. The end of the file
   * counts as a hole. Throws `beyond-end` and the errors of `plan`.
   */
  seekHole(slot: number, ino: number, offset: number): number {
    const file = this.#file(this.#openFileTree(slot, ino), slot, ino)
    if (offset >= file.sizeBytes) throw beyondEnd(slot, ino, offset)
    let at = offset
    for (let i = firstExtentEndingAfter(file.extents, offset); i < file.extents.length; i++) {
      const extent = file.extents[i]
      if (extent === undefined || extent.offset > at) break
      at = extent.offset + extent.length
    }
    return Math.min(at, file.sizeBytes)
  }

  #open(slot: number): OpenTree {
    const tree = this.#trees.open(slot)
    if (tree === undefined) throw stale(slot, ROOT_INO)
    return tree
  }

  #inode(slot: number, ino: number): Inode {
    const inode = this.#open(slot).index.inode(ino)
    if (inode === undefined) throw stale(slot, ino)
    return inode
  }

  #list(
    slot: number,
    ino: number,
    offset: number,
    read: (tree: OpenTree, after: number) => ListedEntry[],
  ): ListedEntry[] {
    const tree = this.#open(slot)
    const found = read(tree, Math.max(0, offset - DOTS))
    // A file or an unknown inode also gives an empty list. Read the inode only in that case.
    if (found.length === 0 && offset === 0 && !isType(this.#inode(slot, ino).mode, S_IFDIR)) {
      throw notADirectory(slot, ino)
    }
    return offset < DOTS ? [...dotEntries(slot, ino, offset), ...found] : found
  }

  #listTrees(ino: number, offset: number, limit: number, plus: boolean): ListedEntry[] {
    treeListAttributes(ino)
    const entries = dotEntries(ROOT_SLOT, ino, offset)
    for (const record of this.#trees.after(Math.max(0, offset - DOTS), limit)) {
      const name = Buffer.from(record.name, 'latin1')
      const entry = { name, ino: ROOT_INO, mode: S_IFDIR, cookie: record.slot }
      entries.push(listed(record.slot, entry, plus ? this.#treeAttributes(record.slot) : undefined))
    }
    return entries
  }

  /** Undefined when the index of the tree cannot be read. Its name is still listed. */
  #treeAttributes(slot: number): Attributes | undefined {
    try {
      return this.attributes(slot, ROOT_INO)
    } catch {
      return undefined
    }
  }

  #lookupTree(ino: number, name: Uint8Array): Attributes | undefined {
    if (isDotDot(name)) return treeListAttributes(ino)
    const slot = slotFromName(name)
    const tree = slot === undefined ? undefined : this.#trees.open(slot)
    return tree && attributesOf(tree.record.slot, inodeOf(tree, ROOT_INO))
  }

  /**
   * Answers a lookup of "..". The kernel sends one only for file handles (name_to_handle_at(2)) of
   * directories that are no longer in its cache.
   */
  #parent(slot: number, ino: number): Attributes {
    if (ino === ROOT_INO && this.#listsTrees) return treeListAttributes(ROOT_INO)
    throw stale(slot, ino)
  }

  #openFileTree(slot: number, ino: number): OpenTree {
    if (this.isTreeList(slot)) throw isADirectory(slot, ino)
    return this.#open(slot)
  }

  #file(tree: OpenTree, slot: number, ino: number): FileExtents {
    const nodeId = nodeIdOf(slot, ino)
    const known = this.#files.get(nodeId)
    if (known !== undefined) return known
    const inode = tree.index.inode(ino)
    if (inode === undefined) throw stale(slot, ino)
    if (isType(inode.mode, S_IFDIR)) throw isADirectory(slot, ino)
    if (!isType(inode.mode, S_IFREG)) {
      throw new FusefsError('invalid-argument', `tree ${slot} inode ${ino} is not a regular file`)
    }
    const file = { sizeBytes: inode.sizeBytes, extents: tree.index.extents(ino) }
    this.#files.set(nodeId, file)
    return file
  }
}

function inodeOf(tree: OpenTree, ino: number): Inode {
  const inode = tree.index.inode(ino)
  if (inode !== undefined) return inode
  throw new FusefsError(
    'tree-unavailable',
    `index ${tree.record.indexDigest} names inode ${ino} but does not have it`,
  )
}

function attributesOf(slot: number, inode: Inode): Attributes {
  return {
    nodeId: nodeIdOf(slot, inode.ino),
    mode: inode.mode,
    nlink: inode.nlink,
    uid: inode.uid,
    gid: inode.gid,
    rdev: inode.rdev,
    sizeBytes: inode.sizeBytes,
    blocks: Math.ceil(inode.storedBytes / 512),
    mtimeSec: inode.mtimeSec,
    mtimeNsec: inode.mtimeNsec,
  }
}

function treeListAttributes(ino: number): Attributes {
  if (ino !== ROOT_INO) throw stale(ROOT_SLOT, ino)
  return {
    nodeId: nodeIdOf(ROOT_SLOT, ROOT_INO),
    mode: S_IFDIR | 0o555,
    nlink: 2,
    uid: 0,
    gid: 0,
    rdev: 0,
    sizeBytes: 4096,
    blocks: 0,
    mtimeSec: 0,
    mtimeNsec: 0,
  }
}

function listed(slot: number, entry: DirEntry, attributes: Attributes | undefined): ListedEntry {
  const { name, ino, mode, cookie } = entry
  return { name, nodeId: nodeIdOf(slot, ino), mode, nextOffset: cookie + DOTS, attributes }
}

/** ".." has the node id of "." here. Nothing reads it, because the kernel resolves ".." itself. */
function dotEntries(slot: number, ino: number, offset: number): ListedEntry[] {
  const nodeId = nodeIdOf(slot, ino)
  const both = [DOT, DOT_DOT].map((name, at) => {
    return { name, nodeId, mode: S_IFDIR, nextOffset: at + 1, attributes: undefined }
  })
  return both.slice(offset)
}

const OVERLAY_XATTR = /^(?:trusted|user)\.overlay\./

function isOverlayXattr(name: Uint8Array): boolean {
  return OVERLAY_XATTR.test(
    Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1'),
  )
}

function isDot(name: Uint8Array): boolean {
  return name.length === 1 && name[0] === 0x2e
}

function isDotDot(name: Uint8Array): boolean {
  return name.length === 2 && name[0] === 0x2e && name[1] === 0x2e
}

function isType(mode: number, type: number): boolean {
  return (mode & S_IFMT) === type
}

function stale(slot: number, ino: number): FusefsError {
  return new FusefsError('stale-node', `tree ${slot} inode ${ino} is not served here`)
}

function notADirectory(slot: number, ino: number): FusefsError {
  return new FusefsError('not-a-directory', `tree ${slot} inode ${ino} is not a directory`)
}

function isADirectory(slot: number, ino: number): FusefsError {
  return new FusefsError('is-a-directory', `tree ${slot} inode ${ino} is a directory`)
}

function beyondEnd(slot: number, ino: number, offset: number): FusefsError {
  return new FusefsError('beyond-end', `tree ${slot} inode ${ino} ends before ${offset}`)
}
