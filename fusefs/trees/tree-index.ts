/** The index interface that the filesystem needs. `Index` of index-format implements it. */
import type { DirEntry, Inode, PackTable, Tree } from '../../index-format/index.js'

/** A directory entry together with the inode that it names. */
interface DirEntryWithInode extends DirEntry {
  readonly inode: Inode
}

export interface TreeIndex extends Tree {
  readonly meta: {
    readonly inodes: number
    /** Sum of the bytes that the extents cover. */
    readonly storedBytes: number
  }
  /** `lookup` and `inode` in one call. */
  lookupInode(parent: number, name: Uint8Array): Inode | undefined
  /** `readdir` and `inode` of each entry in one call. */
  readdirPlus(parent: number, cookie: number, limit: number): DirEntryWithInode[]
  /** The value of one extended attribute; `undefined` when the inode does not have it. */
  xattr(ino: number, name: Uint8Array): Uint8Array | undefined
  /** The table of the pack with this key. Throws `invalid-index` when there is no such pack. */
  packTable(packKey: number): PackTable
  /** Closes the index file. Idempotent. */
  close(): void
}
