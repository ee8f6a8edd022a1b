/** A tree in memory for tests: add paths, read it through the Tree interface. */
import type { DirEntry, Extent, Inode, Tree, Xattr } from '../../../index-format/index.js'

interface Node {
  inode: Inode
  children: Map<string, number>
  target?: Uint8Array
  xattrs: Xattr[]
  extents: Extent[]
}

export interface NodeOptions {
  mode?: number
  uid?: number
  gid?: number
  nlink?: number
  rdev?: number
  mtimeSec?: number
  mtimeNsec?: number
  implied?: boolean
  xattrs?: Record<string, string>
}

/** Names are latin1 strings: one character is one byte. */
export class MemoryTree implements Tree {
  readonly #nodes = new Map<number, Node>()
  #nextIno = 2

  constructor() {
    this.#insert(1, 0o040755, { nlink: 2 }, 4096, 0)
  }

  directory(path: string, options: NodeOptions = {}): number {
    const ino = this.#add(
      path,
      0o040000 | (options.mode ?? 0o755),
      { nlink: 2, ...options },
      4096,
      0,
    )
    const parent = this.#node(this.#parentOf(path).ino)
    parent.inode = { ...parent.inode, nlink: parent.inode.nlink + 1 }
    return ino
  }

  /** The file's stored bytes are the sum of the lengths of its extents. */
  file(path: string, sizeBytes: number, extents: Extent[], options: NodeOptions = {}): number {
    const stored = extents.reduce((sum, extent) => sum + extent.length, 0)
    const ino = this.#add(path, 0o100000 | (options.mode ?? 0o644), options, sizeBytes, stored)
    this.#node(ino).extents = extents
    return ino
  }

  symlink(path: string, target: string, options: NodeOptions = {}): number {
    const bytes = Buffer.from(target, 'latin1')
    const ino = this.#add(path, 0o120777, options, bytes.length, 0)
    this.#node(ino).target = bytes
    return ino
  }

  special(path: string, mode: number, options: NodeOptions = {}): number {
    return this.#add(path, mode, options, 0, 0)
  }

  link(path: string, ino: number): void {
    const { ino: parent, name } = this.#parentOf(path)
    this.#node(parent).children.set(name, ino)
    const node = this.#node(ino)
    node.inode = { ...node.inode, nlink: node.inode.nlink + 1 }
  }

  /** Overwrites attributes of an inode, also with values that no valid tree has. */
  change(ino: number, attributes: Partial<Inode>): void {
    const node = this.#node(ino)
    node.inode = { ...node.inode, ...attributes }
  }

  inode(ino: number): Inode | undefined {
    return this.#nodes.get(ino)?.inode
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    return this.#nodes.get(parent)?.children.get(Buffer.from(name).toString('latin1'))
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    const children = [...(this.#nodes.get(parent)?.children ?? [])]
    return children
      .map(([name, ino]) => ({ name: Buffer.from(name, 'latin1'), ino }))
      .sort((a, b) => Buffer.compare(a.name, b.name))
      .map(({ name, ino }, at) => ({ name, ino, mode: this.#node(ino).inode.mode, cookie: at + 1 }))
      .slice(cookie, cookie + limit)
  }

  readlink(ino: number): Uint8Array | undefined {
    return this.#nodes.get(ino)?.target
  }

  xattrs(ino: number): Xattr[] {
    return this.#nodes.get(ino)?.xattrs ?? []
  }

  extents(ino: number): Extent[] {
    return this.#nodes.get(ino)?.extents ?? []
  }

  #add(path: string, mode: number, options: NodeOptions, size: number, stored: number): number {
    const { ino: parent, name } = this.#parentOf(path)
    const ino = this.#nextIno++
    this.#insert(ino, mode, options, size, stored)
    this.#node(parent).children.set(name, ino)
    return ino
  }

  #insert(ino: number, mode: number, options: NodeOptions, size: number, stored: number): void {
    const xattrs = Object.entries(options.xattrs ?? {})
      .map(([name, value]) => ({
        name: Buffer.from(name, 'latin1'),
        value: Buffer.from(value, 'latin1'),
      }))
      .sort((a, b) => Buffer.compare(a.name, b.name))
    const inode: Inode = {
      ino,
      mode,
      uid: options.uid ?? 0,
      gid: options.gid ?? 0,
      nlink: options.nlink ?? 1,
      sizeBytes: size,
      storedBytes: stored,
      rdev: options.rdev ?? 0,
      mtimeSec: options.mtimeSec ?? 1_700_000_000,
      mtimeNsec: options.mtimeNsec ?? 0,
      implied: options.implied ?? false,
    }
    this.#nodes.set(ino, { inode, children: new Map(), xattrs, extents: [] })
  }

  #parentOf(path: string): { ino: number; name: string } {
    const parts = path.split('/')
    const name = parts.pop() ?? ''
    let ino = 1
    for (const part of parts) {
      const child = this.#node(ino).children.get(part)
      if (child === undefined) throw new Error(`no directory ${part} of ${path}`)
      ino = child
    }
    return { ino, name }
  }

  #node(ino: number): Node {
    const node = this.#nodes.get(ino)
    if (node === undefined) throw new Error(`no inode ${ino}`)
    return node
  }
}
