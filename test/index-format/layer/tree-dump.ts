/** Dumps a tree as one object per path, so that two trees can be compared by `deepEqual`. */
import { createHash } from 'node:crypto'
import { ROOT_INO, type Tree } from '../../../index-format/index.js'

/** What stat(2), readlink(2), listxattr(2) and read(2) return for one path. */
export interface DumpedPath {
  readonly mode: string
  readonly uid: number
  readonly gid: number
  readonly nlink: number
  readonly sizeBytes: number
  readonly rdev: number
  readonly mtime: string
  readonly target: string
  /** Values in hex. */
  readonly xattrs: Readonly<Record<string, string>>
  /** SHA-256 of a file's content, with holes as zeros. */
  readonly content: string
  /**
   * The first path, in byte order, of the same inode. Hard links of one file have the same value.
   */
  readonly sameAs: string
}

/** Dumped paths by path in latin1. The root is `.`. */
export type Dump = Record<string, DumpedPath>

/** Returns `length` bytes at `rawOffset` of the spool, or of `pack` if there are packs. */
export type ContentOf = (ino: number, rawOffset: number, length: number, pack: number) => Uint8Array

export function dumpTree(
  tree: Tree,
  contentOf: ContentOf,
  options: { readonly pageEntries?: number } = {},
): Dump {
  const dump: Dump = {}
  const firstPaths = new Map<number, string>()
  const left: [path: string, ino: number][] = [['.', ROOT_INO]]
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    const [path, ino] = next
    const inode = tree.inode(ino)
    if (inode === undefined) throw new Error(`no inode ${ino} at ${path}`)
    dump[path] = {
      mode: inode.mode.toString(8),
      uid: inode.uid,
      gid: inode.gid,
      nlink: inode.nlink,
      sizeBytes: inode.sizeBytes,
      rdev: inode.rdev,
      mtime: `${inode.mtimeSec}.${String(inode.mtimeNsec).padStart(9, '0')}`,
      target: latin1(tree.readlink(ino) ?? new Uint8Array()),
      xattrs: Object.fromEntries(
        tree
          .xattrs(ino)
          .map(({ name, value }) => [latin1(name), Buffer.from(value).toString('hex')]),
      ),
      content: (inode.mode & 0o170000) === 0o100000 ? contentDigest(tree, ino, contentOf) : '',
      sameAs: path,
    }
    if ((inode.mode & 0o170000) !== 0o040000) {
      const first = firstPaths.get(ino)
      if (first === undefined || path < first) firstPaths.set(ino, path)
      continue
    }
    for (const [name, child] of children(tree, ino, options.pageEntries ?? 100)) {
      left.push([path === '.' ? name : `${path}/${name}`, child])
    }
  }
  return withSharedInodes(tree, dump, firstPaths)
}

function* children(tree: Tree, ino: number, pageEntries: number): Generator<[string, number]> {
  let last: string | undefined
  for (let cookie = 0; ;) {
    const page = tree.readdir(ino, cookie, pageEntries)
    if (page.length === 0) return
    for (const entry of page) {
      const name = latin1(entry.name)
      if (last !== undefined && name <= last) throw new Error(`${name} comes after ${last}`)
      if (tree.lookup(ino, entry.name) !== entry.ino) throw new Error(`lookup of ${name} differs`)
      if (tree.inode(entry.ino)?.mode !== entry.mode) throw new Error(`mode of ${name} differs`)
      last = name
      cookie = entry.cookie
      yield [name, entry.ino]
    }
  }
}

function withSharedInodes(tree: Tree, dump: Dump, firstPaths: Map<number, string>): Dump {
  const shared: Dump = {}
  for (const path of Object.keys(dump).sort()) {
    const dumped = dump[path]
    if (dumped === undefined) continue
    const ino = inoAt(tree, path)
    shared[path] = { ...dumped, sameAs: firstPaths.get(ino) ?? path }
  }
  return shared
}

function inoAt(tree: Tree, path: string): number {
  let ino = ROOT_INO
  if (path === '.') return ino
  for (const name of path.split('/')) ino = tree.lookup(ino, Buffer.from(name, 'latin1')) ?? -1
  return ino
}

function contentDigest(tree: Tree, ino: number, contentOf: ContentOf): string {
  const hash = createHash('sha256')
  let at = 0
  for (const { offset, length, rawOffset, pack } of tree.extents(ino)) {
    hash.update(Buffer.alloc(offset - at))
    hash.update(contentOf(ino, rawOffset, length, pack))
    at = offset + length
  }
  hash.update(Buffer.alloc((tree.inode(ino)?.sizeBytes ?? 0) - at))
  return hash.digest('hex')
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
