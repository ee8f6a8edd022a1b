/**
 * Unpacks a layer into a tree. The result is that of containerd's overlayfs snapshotter on disk:
 * the same names, types, owners, modes, times, links, attributes and whiteouts, for any order of
 * members. FORMAT.md, "Layers and merging", has the rules. Where containerd fails, this class fails
 * with an error that names the member, unless the rules say otherwise.
 */
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'
import {
  isDirectory,
  isSymlink,
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
} from '../file-mode.js'
import { MAX_LAYER_MEMBERS, MAX_MTIME_SEC } from '../limits.js'
import type { TarMember, TarMemberKind } from '../tar/tar-member.js'
import { readTar } from '../tar/tar-reader.js'
import { ROOT_INO } from '../tree/tree.js'
import type { ContentSink } from './content-sink.js'
import { type Directory, DirectoryResolver } from './directory-resolver.js'
import { LayerTree } from './layer-tree.js'
import { type MemberPath, memberPathOf, pathBytes } from './member-path.js'
import { changeXattrs, inheritedXattrs, type XattrMap } from './member-xattrs.js'
import { resolvePendingLinks } from './pending-links.js'
import { DEFAULT_ACL } from './posix-acl.js'
import { type SpooledFile, Spooler } from './spooler.js'
import { OPAQUE_XATTRS, WHITEOUT_MODE, whiteoutOf } from './whiteout.js'
import { type Found, type NewInode, WorkTree } from './work-tree.js'

export interface LayerBuilderOptions {
  /** Takes the content of the files. The caller closes it. */
  readonly sink: ContentSink
  /**
   * The SQLite file for the working tree. It must not exist, and the caller deletes it. Default: a
   * file in SQLite's temporary directory, deleted at `close`.
   */
  readonly workFile?: string
}

/** Nanoseconds, after MAX_MTIME_SEC, of the last time containerd applies: 1970 plus 2^63 - 1 ns. */
const LAST_NSEC = 854_775_807
const NO_CHANGE = 0xffffffff
const MAX_DEV_MAJOR = 0xfff
const MAX_DEV_MINOR = 0xfffff

const TYPES: Readonly<Record<Exclude<TarMemberKind, 'hardlink'>, number>> = {
  file: S_IFREG,
  directory: S_IFDIR,
  symlink: S_IFLNK,
  char: S_IFCHR,
  block: S_IFBLK,
  fifo: S_IFIFO,
}

export class LayerBuilder {
  readonly #tree: WorkTree
  readonly #resolver: DirectoryResolver
  readonly #spooler: Spooler
  #members = 0
  /** Whether any name was removed or given to another inode. */
  #replaced = false
  #finished = false
  #closed = false

  private constructor(tree: WorkTree, sink: ContentSink) {
    this.#tree = tree
    this.#resolver = new DirectoryResolver(tree)
    this.#spooler = new Spooler(sink)
  }

  /** A builder with an empty tree. The caller closes it or, after `finish`, the finished tree. */
  static create(options: LayerBuilderOptions): LayerBuilder {
    return new LayerBuilder(WorkTree.create(options.workFile ?? ''), options.sink)
  }

  /** Members applied so far. */
  get members(): number {
    return this.#members
  }

  /** Bytes given to the sink so far. */
  get spooledBytes(): number {
    return this.#spooler.spooledBytes
  }

  /**
   * Applies every member of an uncompressed tar archive. Throws as `readTar` and `add` do, and the
   * signal's reason when it is aborted. After an error the builder can only be closed.
   */
  async addArchive(source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
    for await (const member of readTar(source, { globalHeaders: 'ignore' })) {
      signal?.throwIfAborted()
      await this.add(member, signal)
    }
  }

  /**
   * Applies one member and reads its body. Throws `invalid-layer` if the member cannot be unpacked
   * and `limit-exceeded`, both naming the member, and the signal's reason when it is aborted.
   */
  async add(member: TarMember, signal?: AbortSignal): Promise<void> {
    const what = `member "${escapeBytes(member.path)}"`
    if (++this.#members > MAX_LAYER_MEMBERS) {
      throw new IndexFormatError(
        'limit-exceeded',
        `${what}: the layer has more than ${MAX_LAYER_MEMBERS} members`,
      )
    }
    const path = memberPathOf(member.path, what)
    // containerd ignores a member that is the root itself.
    if (path === undefined) return
    const parent = this.#resolver.ensure(path.parent, what)
    if (this.#applyWhiteout(parent, path.base, what)) return
    if (member.kind === 'hardlink') this.#addLink(member, parent, path, what)
    else if (member.kind === 'directory') this.#addDirectory(member, parent, path, what)
    else if (member.kind === 'file') {
      const content = await this.#spooler.spool(member, signal)
      this.#addInode(member, parent, path, { what, content })
    } else this.#addInode(member, parent, path, { what })
  }

  /**
   * The finished tree, which the caller closes instead of the builder. Throws `invalid-layer` if
   * the target of a hard link is missing, a directory, or the link itself.
   */
  finish(): LayerTree {
    resolvePendingLinks(this.#tree, this.#resolver)
    if (this.#replaced) this.#applyDirectoryTimes()
    this.#tree.finish()
    this.#finished = true
    return new LayerTree(this.#tree)
  }

  /** Drops the unfinished tree. Does nothing after `finish`. Idempotent. */
  close(): void {
    if (this.#closed || this.#finished) return
    this.#closed = true
    this.#tree.close()
  }

  #applyWhiteout(parent: Directory, base: Buffer, what: string): boolean {
    const whiteout = whiteoutOf(base)
    switch (whiteout.kind) {
      case 'none':
        return false
      case 'ignored':
        return true
      case 'opaque': {
        // overlayfs ignores an opaque mark on the root of a layer.
        if (parent.ino === ROOT_INO) return true
        const xattrs = this.#tree.xattrs(parent.ino)
        for (const { name, value } of OPAQUE_XATTRS) {
          xattrs.set(Buffer.from(name).toString('latin1'), value)
        }
        this.#tree.setXattrs(parent.ino, xattrs)
        return true
      }
      case 'whiteout': {
        const { name } = whiteout
        const text = name.toString('latin1')
        if (text === '' || text === '.' || text === '..') {
          throw new IndexFormatError('invalid-layer', `${what}: a whiteout without a name`)
        }
        this.#create(parent, name, { ...PLAIN, mode: WHITEOUT_MODE })
        return true
      }
    }
  }

  #addDirectory(member: TarMember, parent: Directory, path: MemberPath, what: string): void {
    const mode = S_IFDIR | member.mode
    const time = boundTime(member)
    this.#tree.addDirectoryTime(fullPath(path), time.mtimeSec, time.mtimeNsec)
    const found = this.#tree.find(parent.ino, path.base)
    if (found === undefined || !isDirectory(found.mode)) {
      this.#addInode(member, parent, path, { what })
      return
    }
    this.#change(member, { ino: found.ino, mode }, what)
  }

  #addInode(
    member: TarMember,
    parent: Directory,
    path: MemberPath,
    about: { readonly what: string; readonly content?: SpooledFile },
  ): void {
    const { kind } = member
    if (kind === 'hardlink') throw new Error('a hard link has no inode of its own')
    const link = kind === 'symlink'
    const mode = TYPES[kind] | (link ? 0o777 : member.mode)
    const device = kind === 'char' || kind === 'block'
    const ino = this.#create(parent, path.base, {
      ...PLAIN,
      ...boundTime(member),
      mode,
      uid: ownerOf(member.uid, 0),
      gid: ownerOf(member.gid, 0),
      sizeBytes: sizeOf(member),
      storedBytes: about.content?.storedBytes ?? 0,
      rdev: device ? rdevOf(member, about.what) : 0,
      target: link ? member.linkTarget : null,
      digest: about.content?.digest ?? null,
    })
    for (const extent of about.content?.extents ?? []) this.#tree.addExtent(ino, extent)
    if (member.xattrs.length === 0 && !this.#resolver.inheritsAcls) return
    const inherited: XattrMap = this.#resolver.inheritsAcls
      ? inheritedXattrs(this.#tree.xattrs(parent.ino), mode)
      : new Map<string, Uint8Array>()
    this.#writeXattrs(ino, inherited, { mode, xattrs: member.xattrs, what: about.what })
  }

  #addLink(member: TarMember, parent: Directory, path: MemberPath, what: string): void {
    const target = memberPathOf(member.linkTarget, `${what}, hard link target`)
    if (target === undefined) {
      throw new IndexFormatError('invalid-layer', `${what}: a hard link to the root directory`)
    }
    const taken = this.#tree.find(parent.ino, path.base)
    if (taken !== undefined) this.#remove(parent, path.base, taken)
    const directory = this.#resolver.existing(target.parent, what)
    const found = directory && this.#tree.find(directory.ino, target.base)
    if (found === undefined || (found.mode & S_IFMT) === 0) {
      // The target may come later. Until then the name has a placeholder inode.
      const ino = this.#create(parent, path.base, PLAIN)
      const own = fullPath(path)
      this.#tree.addPendingLink({
        ino,
        parent: parent.ino,
        name: path.base,
        path: own,
        target: fullPath(target),
      })
      return
    }
    if (isDirectory(found.mode)) {
      throw new IndexFormatError(
        'invalid-layer',
        `${what}: a hard link to the directory "${escapeBytes(member.linkTarget)}"`,
      )
    }
    this.#tree.link(parent.ino, path.base, found.ino)
    const type = found.mode & S_IFMT
    this.#change(
      member,
      { ino: found.ino, mode: isSymlink(type) ? found.mode : type | member.mode },
      what,
    )
  }

  /** Gives an existing inode the member's owner, mode, time and attributes. */
  #change(member: TarMember, to: Found, what: string): void {
    const { ino, mode } = to
    const owner = this.#tree.owner(ino)
    this.#tree.setAttributes(ino, {
      mode,
      uid: ownerOf(member.uid, owner.uid),
      gid: ownerOf(member.gid, owner.gid),
    })
    const time = boundTime(member)
    this.#tree.setTime(ino, time.mtimeSec, time.mtimeNsec)
    const xattrs = this.#tree.xattrs(ino)
    if (xattrs.size === 0 && member.xattrs.length === 0) return
    this.#writeXattrs(ino, xattrs, { mode, xattrs: member.xattrs, what })
  }

  #writeXattrs(ino: number, current: XattrMap, change: Parameters<typeof changeXattrs>[1]): void {
    changeXattrs(current, change)
    if (current.has(DEFAULT_ACL)) this.#resolver.inheritsAcls = true
    this.#tree.setXattrs(ino, current)
  }

  /** Makes a new inode under a name. Removes the inode that has the name, if there is one. */
  #create(parent: Directory, name: Uint8Array, inode: NewInode): number {
    const ino = this.#tree.create(parent.ino, name, inode)
    if (ino !== undefined) return ino
    const found = this.#tree.find(parent.ino, name)
    if (found !== undefined) this.#remove(parent, name, found)
    const second = this.#tree.create(parent.ino, name, inode)
    if (second === undefined) throw new Error(`create "${escapeBytes(name)}": the name is taken`)
    return second
  }

  #remove(parent: Directory, name: Uint8Array, found: Found): void {
    this.#tree.remove(parent.ino, name, found)
    this.#replaced = true
    if ((found.mode & S_IFMT) !== S_IFREG) this.#resolver.forget()
  }

  /**
   * containerd sets the times of directory members last, by path: the inode that a path leads to by
   * then gets the time. containerd fails if a path leads nowhere by then. Here the time is dropped.
   */
  #applyDirectoryTimes(): void {
    for (const { path, sec, nsec } of this.#tree.directoryTimes()) {
      const found = this.#resolver.follow(path.toString('latin1'))
      if (found !== undefined) this.#tree.setTime(found.ino, sec, nsec)
    }
  }
}

const PLAIN: NewInode = {
  mode: 0,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  storedBytes: 0,
  rdev: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
  implied: false,
  target: null,
  digest: null,
}

function fullPath({ parent, base }: MemberPath): Buffer {
  return parent === '' ? base : Buffer.concat([pathBytes(`${parent}/`), base])
}

function sizeOf(member: TarMember): number {
  if (member.kind === 'directory') return 4096
  return member.kind === 'symlink' ? member.linkTarget.length : member.sizeBytes
}

/** chown(2) takes 32 bits. All ones leave the owner as it is. */
function ownerOf(id: number, current: number): number {
  if (id >= 0 && id < NO_CHANGE) return id
  const cut = Number(BigInt.asUintN(32, BigInt(id)))
  return cut === NO_CHANGE ? current : cut
}

/** containerd replaces a time by 0 if it is before 1970 or over 2^63 - 1 nanoseconds after it. */
function boundTime({ mtimeSec, mtimeNsec }: TarMember): { mtimeSec: number; mtimeNsec: number } {
  const inside =
    mtimeSec >= 0 &&
    (mtimeSec < MAX_MTIME_SEC || (mtimeSec === MAX_MTIME_SEC && mtimeNsec <= LAST_NSEC))
  return inside ? { mtimeSec, mtimeNsec } : { mtimeSec: 0, mtimeNsec: 0 }
}

/** `new_encode_dev` of linux/kdev_t.h: 12 bits of major, 20 of minor. Throws `limit-exceeded`. */
function rdevOf({ devMajor, devMinor }: TarMember, what: string): number {
  if (devMajor < 0 || devMajor > MAX_DEV_MAJOR || devMinor < 0 || devMinor > MAX_DEV_MINOR) {
    throw new IndexFormatError(
      'limit-exceeded',
      `${what}: device ${devMajor}:${devMinor}; the limits are ${MAX_DEV_MAJOR}:${MAX_DEV_MINOR}`,
    )
  }
  return ((devMinor & 0xff) | (devMajor << 8) | ((devMinor & ~0xff) << 12)) >>> 0
}
