/** What the filesystem needs of an index beyond its tree; `Index` of index-format is one. */
import type { DirEntry, Inode, PackTable, Tree } from '../../index-format/index.js'

/** A directory entry with the attributes of what it names. */
interface DirEntryWithInode extends DirEntry {
  readonly inode: Inode
}

export interface TreeIndex extends Tree {
  readonly meta: {
    readonly inodes: number
    /** Bytes that extents cover. */
    readonly storedBytes: number
  }
  /** `lookup` and `inode` in one. */
  lookupInode(parent: number, name: Uint8Array): Inode | undefined
  /** `readdir` and each entry's `inode` in one. */
  readdirPlus(parent: number, cookie: number, limit: number): DirEntryWithInode[]
  /** The value of one extended attribute. */
  xattr(ino: number, name: Uint8Array): Uint8Array | undefined
  /** The pack that extents call `packKey`. Throws `invalid-index` when the index has none. */
  packTable(packKey: number): PackTable
  /** Idempotent. */
  close(): void
}
