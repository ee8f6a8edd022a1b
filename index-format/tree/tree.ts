/**
 * The interface of a directory tree. Its forms are an unpacked layer, a published index and several
 * layers merged. All methods are synchronous, because a tree is local before it is read.
 *
 * The root is inode 1. In an index the children of one directory have consecutive inode numbers in
 * order of name, except files that an earlier directory names, too. Other trees have other numbers.
 */

/** The inode number of every tree's root directory. */
export const ROOT_INO = 1

/** The attributes of one inode, as stat(2) has them. */
export interface Inode {
  /** 1 for the root. Below 2^32, except in a `MergedTree`. */
  readonly ino: number
  /** `st_mode`: type and permission bits. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** The link count that overlayfs over the unpacked layers reports; FORMAT.md has the rules. */
  readonly nlink: number
  /** Bytes. For a symbolic link the length of its target, for a directory 4096. */
  readonly sizeBytes: number
  /** Bytes that extents cover: `sizeBytes` minus the holes. 0 for anything but regular files. */
  readonly storedBytes: number
  /** Device number in the kernel's 32-bit encoding (`new_encode_dev`); 0 unless a device. */
  readonly rdev: number
  /** Seconds since 1970, at most MAX_MTIME_SEC; 0 for times that containerd does not accept. */
  readonly mtimeSec: number
  /** 0 to 999,999,999. */
  readonly mtimeNsec: number
  /**
   * True for a directory that the layer's archive has only in the paths of other members. Merging
   * gives it the attributes of the same directory in the layers below, if there is one.
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

/** A name with the attributes of its inode. */
export interface DirEntryPlus extends DirEntry {
  readonly inode: Inode
}

/** One extended attribute, with the namespace in its name (`security.capability`). */
export interface Xattr {
  readonly name: Uint8Array
  readonly value: Uint8Array
}

/**
 * A run of a file's bytes inside a pack's uncompressed address space. Bytes of a file that no
 * extent covers are a hole.
 */
export interface Extent {
  /** Position in the file, in bytes. */
  readonly offset: number
  /** Bytes; at least 1. */
  readonly length: number
  /** The pack: its key in the index's table `pack`. In a tree being built, 0 is the spool file. */
  readonly pack: number
  /** Position in the pack's uncompressed address space (or in the spool file), in bytes. */
  readonly rawOffset: number
}

/** Read-only. For an inode number that is not in the tree, methods return `undefined` or `[]`. */
export interface Tree {
  inode(ino: number): Inode | undefined
  /** The inode number of `name` in directory `parent`. */
  lookup(parent: number, name: Uint8Array): number | undefined
  /**
   * At most `limit` entries of directory `parent` in byte order of name, after position `cookie`: 0
   * means from the start.
   */
  readdir(parent: number, cookie: number, limit: number): DirEntry[]
  /**
   * `readdir` together with each entry's `inode`. A reader of a whole tree then makes one call for
   * each page instead of one for each name. `undefined` if the tree cannot do this for `parent`;
   * then it is `undefined` for every page of `parent`.
   */
  readdirPlus?(parent: number, cookie: number, limit: number): DirEntryPlus[] | undefined
  /** A symbolic link's target, raw bytes. */
  readlink(ino: number): Uint8Array | undefined
  /** In byte order of name. */
  xattrs(ino: number): Xattr[]
  /** In order of `offset`, without overlap. */
  extents(ino: number): Extent[]
}
