/** A node's attributes: the fields of `struct fuse_attr` that differ between nodes. */

export interface Attributes {
  /** Node id and `st_ino`: 2^32 times the tree's slot, plus the inode number in the tree. */
  readonly nodeId: number
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  readonly rdev: number
  readonly sizeBytes: number
  /** In units of 512 bytes, as `st_blocks`. */
  readonly blocks: number
  readonly mtimeSec: number
  readonly mtimeNsec: number
}

/** How long the kernel may cache a name (`entrySec`) and attributes (`attrSec`), in seconds. */
export interface Validity {
  readonly entrySec: number
  readonly attrSec: number
}
