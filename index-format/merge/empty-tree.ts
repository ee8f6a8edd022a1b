/** The tree of an image without layers: nothing but a root. */
import {
  type DirEntry,
  type Extent,
  type Inode,
  ROOT_INO,
  type Tree,
  type Xattr,
} from '../tree/tree.js'

const ROOT: Inode = {
  ino: ROOT_INO,
  mode: 0o040755,
  uid: 0,
  gid: 0,
  nlink: 2,
  sizeBytes: 4096,
  storedBytes: 0,
  rdev: 0,
  mtimeSec: 0,
  mtimeNsec: 0,
  implied: false,
}

export const EMPTY_TREE: Tree = {
  inode(ino): Inode | undefined {
    return ino === ROOT_INO ? ROOT : undefined
  },
  lookup(): undefined {
    return undefined
  },
  readdir(): DirEntry[] {
    return []
  },
  readlink(): undefined {
    return undefined
  },
  xattrs(): Xattr[] {
    return []
  },
  extents(): Extent[] {
    return []
  },
}
