/** How a suite looks at a filesystem, whatever stands between. Paths and names are latin1, '' is the root. */

export interface Seen {
  readonly ino: number
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  /** As stat(2) of user space encodes it: `makedev`. */
  readonly rdev: number
  readonly size: number
  readonly blocks: number
  readonly mtimeNs: bigint
}

export interface Viewer {
  lstat(path: string): Promise<Seen>
  readlink(path: string): Promise<string>
  /** Names in the order given, without "." and "..". */
  list(path: string): Promise<string[]>
  read(path: string, offset: number, length: number): Promise<Buffer>
  /** Throws an error with `code` ENODATA when there is none. */
  xattr(path: string, name: string): Promise<Buffer>
  xattrNames(path: string): Promise<string[]>
}

/** What a transport cannot express, by name; a suite skips exactly that and says so. */
export type Limitation =
  | 'hard-link inode numbers'
  | 'extended attributes'
  | 'nanoseconds'
  | 'names that are not UTF-8'
  | 'blocks'
  | 'devices'
  | 'ids above 2^31'
