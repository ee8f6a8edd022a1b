/**
 * What a directory tree is to the rest of the system, whichever form it is in: a layer that is
 * being unpacked, a published index, several layers merged. Everything is synchronous: a tree is
 * local by the time anybody reads it.
 *
 * Inode numbers are small integers, the root is 1, and the children of one directory are numbered
 * consecutively in name order where hard links allow it.
 */

/** The inode number of every tree's root directory. */
export const ROOT_INO = 1

/** The attributes of one inode, as stat(2) has them. */
export interface Inode {
  /** 1 for the root; below 2^32. */
  readonly ino: number
  /** `st_mode`: type and permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** What overlayfs over the unpacked layers would report; FORMAT.md says how merged trees count. */
  readonly nlink: number
  /** Bytes. A symbolic link's is the length of its target, a directory's 4096. */
  readonly sizeBytes: number
  /** Bytes that extents cover: `sizeBytes` less the holes. 0 for anything but regular files. */
  readonly storedBytes: number
  /** Device number in the kernel's 32-bit encoding (`new_encode_dev`); 0 unless a device. */
  readonly rdev: number
  /** Seconds since 1970; within what containerd accepts, else 0 (see FORMAT.md). */
  readonly mtimeSec: number
  /** 0 to 999,999,999. */
  readonly mtimeNsec: number
  /**
   * True for a directory that the layer's archive does not name, only its children: its attributes
   * are those of the same directory in the layers below, where there is one.
   */
  readonly implied: boolean
}

/** One name in a directory. */
export interface DirEntry {
  /** Raw bytes; 1 to 255 of them, no slash, no NUL. */
  readonly name: Uint8Array
  readonly ino: number
  /** The inode's `st_mode`. */
  readonly mode: number
  /** Position in the directory, from 1: pass it to `readdir` to go on after this entry. */
  readonly cookie: number
}

/** A name with the attributes of what it stands for. */
export interface DirEntryPlus extends DirEntry {
  readonly inode: Inode
}

/** One extended attribute, with the namespace in its name (`security.capability`). */
export interface Xattr {
  readonly name: Uint8Array
  readonly value: Uint8Array
}

/** A run of a file's bytes inside a pack's uncompressed address space. What no extent covers is a hole. */
export interface Extent {
  /** Where in the file, bytes. */
  readonly offset: number
  /** Bytes; at least 1. */
  readonly length: number
  /** Which pack: the key of `pack` in the index; for a tree being built, 0 is the spool file. */
  readonly pack: number
  /** Where in the pack's uncompressed address space (or in the spool), bytes. */
  readonly rawOffset: number
}

/** A read-only directory tree. An inode number that is not in the tree answers `undefined` or `[]`. */
export interface Tree {
  inode(ino: number): Inode | undefined
  /** The inode that `name` in directory `parent` stands for. */
  lookup(parent: number, name: Uint8Array): number | undefined
  /** At most `limit` entries of directory `parent` in byte order of name, after position `cookie` (0: from the start). */
  readdir(parent: number, cookie: number, limit: number): DirEntry[]
  /**
   * `readdir` and each entry's `inode` in one step: whoever reads a whole tree asks one question a
   * page instead of one a name. `undefined` where this cannot be; the same for all of a directory.
   */
  readdirPlus?(parent: number, cookie: number, limit: number): DirEntryPlus[] | undefined
  /** A symbolic link's target, raw bytes. */
  readlink(ino: number): Uint8Array | undefined
  /** In byte order of name. */
  xattrs(ino: number): Xattr[]
  /** In order of `offset`, without overlap. */
  extents(ino: number): Extent[]
}
