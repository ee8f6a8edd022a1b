/**
 * A layer above certain other layers. An implied directory has the attributes of the same directory
 * below, as containerd copies them when it unpacks. Names made in it may inherit a group or a
 * default access control list from it. Everything else is the layer's own.
 */
import { isDirectory, isSymlink, S_ISGID } from '../file-mode.js'
import { inheritedXattrs, type XattrMap } from '../layer/member-xattrs.js'
import { DEFAULT_ACL } from '../layer/posix-acl.js'
import { isOpaque, USER_OPAQUE_XATTR } from '../layer/whiteout.js'
import {
  type DirEntry,
  type DirEntryPlus,
  type Extent,
  type Inode,
  ROOT_INO,
  type Tree,
  type Xattr,
} from '../tree/tree.js'
import { inodeAt } from './tree-path.js'

const BATCH = 1024

/** The attributes of an inode that replace those of the layer's own tree. */
interface Override {
  /** The inode with the mode, owner and time of an implied directory; `undefined` for others. */
  readonly from: Inode | undefined
  /** All extended attributes; `undefined` when they are the layer's own. */
  readonly xattrs: readonly Xattr[] | undefined
}

interface Visit {
  readonly ino: number
  /** Latin1, without slashes at its ends. */
  readonly path: string
  /** The group of implied directories in it, if it has the set-group-ID bit from below. */
  readonly group: number | undefined
  /** The default access control list that it has from below, which everything in it inherits. */
  readonly inherited: XattrMap | undefined
}

export class ResolvedLayer implements Tree {
  readonly #layer: Tree
  readonly #overrides = new Map<number, Override>()

  private constructor(layer: Tree) {
    this.#layer = layer
  }

  /**
   * Resolves `layer` above the layers `below`: bottom first, each of them resolved. Reads every
   * directory of the layer once, unless `below` is empty. Memory grows with the implied
   * directories. The caller closes the trees, after the last use of this one.
   */
  static create(layer: Tree, below: readonly Tree[]): ResolvedLayer {
    const resolved = new ResolvedLayer(layer)
    if (below.length > 0) resolved.#resolve(below)
    return resolved
  }

  /** Whether any attribute depends on the layers below. */
  get dependsOnBelow(): boolean {
    return this.#overrides.size > 0
  }

  inode(ino: number): Inode | undefined {
    const own = this.#layer.inode(ino)
    return own && this.#resolved(own)
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    return this.#layer.lookup(parent, name)
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    const entries = this.#layer.readdir(parent, cookie, limit)
    if (this.#overrides.size === 0) return entries
    return entries.map((entry) => {
      const mode = this.#overrides.get(entry.ino)?.from?.mode
      return mode === undefined ? entry : { ...entry, mode }
    })
  }

  readdirPlus(parent: number, cookie: number, limit: number): DirEntryPlus[] | undefined {
    return this.#layer.readdirPlus?.(parent, cookie, limit)?.map((entry) => {
      if (!entry.inode.implied) return entry
      const inode = this.#resolved(entry.inode)
      return { ...entry, mode: inode.mode, inode }
    })
  }

  readlink(ino: number): Uint8Array | undefined {
    return this.#layer.readlink(ino)
  }

  xattrs(ino: number): Xattr[] {
    const overridden = this.#overrides.get(ino)?.xattrs
    return overridden === undefined ? this.#layer.xattrs(ino) : [...overridden]
  }

  extents(ino: number): Extent[] {
    return this.#layer.extents(ino)
  }

  #resolved(own: Inode): Inode {
    if (!own.implied) return own
    const from = this.#overrides.get(own.ino)?.from
    if (from === undefined) return { ...own, implied: false }
    const { mode, uid, gid, mtimeSec, mtimeNsec } = from
    return { ...own, mode, uid, gid, mtimeSec, mtimeNsec, implied: false }
  }

  #resolve(below: readonly Tree[]): void {
    const left: Visit[] = [{ ino: ROOT_INO, path: '', group: undefined, inherited: undefined }]
    for (let visit = left.pop(); visit !== undefined; visit = left.pop()) {
      for (let cookie = 0; ;) {
        const entries = this.#layer.readdir(visit.ino, cookie, BATCH)
        const last = entries.at(-1)
        if (last === undefined) break
        cookie = last.cookie
        for (const entry of entries) {
          if (isDirectory(entry.mode)) left.push(this.#resolveDirectory(visit, entry, below))
          else if (visit.inherited !== undefined) this.#inherit(visit.inherited, entry)
        }
      }
    }
  }

  #resolveDirectory(parent: Visit, entry: DirEntry, below: readonly Tree[]): Visit {
    const { ino } = entry
    const name = Buffer.from(entry.name).toString('latin1')
    const path = parent.path === '' ? name : `${parent.path}/${name}`
    const own = this.#layer.inode(ino)
    if (own?.implied !== true) {
      const inherited = parent.inherited && this.#inherit(parent.inherited, entry)
      return { ino, path, group: undefined, inherited }
    }
    const found = sourceOf(path, below)
    // As mkdir(2) in a set-group-ID directory: the parent may have that bit from below.
    const from = found?.inode ?? { ...own, gid: parent.group ?? own.gid }
    const inherited = parent.inherited && inheritedXattrs(parent.inherited, from.mode)
    const xattrs = layered(found?.xattrs ?? [], inherited, this.#layer.xattrs(ino))
    this.#overrides.set(ino, { from, xattrs: listOf(xattrs) })
    const acl = xattrs.get(DEFAULT_ACL)
    return {
      ino,
      path,
      group: (from.mode & S_ISGID) === 0 ? undefined : from.gid,
      inherited: acl && new Map([[DEFAULT_ACL, acl]]),
    }
  }

  /**
   * Gives a name the attributes that it inherits from `list`, its directory's default list from
   * below. Returns the default list of the name itself, if it is a directory.
   */
  #inherit(list: XattrMap, { ino, mode }: DirEntry): XattrMap | undefined {
    if (isSymlink(mode)) return undefined
    const inherited = inheritedXattrs(list, mode)
    const xattrs = layered([], inherited, this.#layer.xattrs(ino))
    this.#overrides.set(ino, { from: undefined, xattrs: listOf(xattrs) })
    const acl = isDirectory(mode) ? xattrs.get(DEFAULT_ACL) : undefined
    return acl && new Map([[DEFAULT_ACL, acl]])
  }
}

/**
 * The directory below whose attributes an implied directory at `path` gets. The topmost layer that
 * has anything at the path decides. `undefined` if it has something else than a directory there, or
 * if no layer has anything.
 */
function sourceOf(
  path: string,
  below: readonly Tree[],
): { readonly inode: Inode; readonly xattrs: readonly Xattr[] } | undefined {
  for (const tree of below.toReversed()) {
    const inode = inodeAt(tree, path)
    if (inode === undefined) continue
    if (inode === 'blocked' || !isDirectory(inode.mode)) return undefined
    return { inode, xattrs: copiedXattrs(tree.xattrs(inode.ino)) }
  }
  return undefined
}

/**
 * containerd copies all attributes except `trusted.*`. The user attribute that marks an opaque
 * directory is our addition, and is not copied either.
 */
function copiedXattrs(xattrs: readonly Xattr[]): readonly Xattr[] {
  const opaque = isOpaque(xattrs)
  return xattrs.filter(({ name }) => {
    const text = Buffer.from(name).toString('latin1')
    return !text.startsWith('trusted.') && !(opaque && text === USER_OPAQUE_XATTR)
  })
}

function layered(
  below: readonly Xattr[],
  inherited: XattrMap | undefined,
  own: readonly Xattr[],
): XattrMap {
  const all: XattrMap = new Map<string, Uint8Array>()
  for (const { name, value } of below) all.set(Buffer.from(name).toString('latin1'), value)
  for (const [name, value] of inherited ?? []) all.set(name, value)
  for (const { name, value } of own) all.set(Buffer.from(name).toString('latin1'), value)
  return all
}

function listOf(xattrs: XattrMap): Xattr[] {
  return [...xattrs]
    .map(([name, value]) => ({ name: Buffer.from(name, 'latin1'), value }))
    .sort((a, b) => Buffer.compare(a.name, b.name))
}
