/**
 * How a suite looks at a filesystem, for any transport. Paths and names are latin1; '' is the root.
 */

export interface Seen {
  readonly ino: number
  readonly mode: number
  readonly nlink: number
  readonly uid: number
  readonly gid: number
  /** Encoded as by stat(2) and glibc's `makedev`. */
  readonly rdev: number
  readonly size: number
  readonly blocks: number
  readonly mtimeNs: bigint
}

export interface Viewer {
  lstat(path: string): Promise<Seen>
  readlink(path: string): Promise<string>
  /** Names in the order of the listing, without "." and "..". */
  list(path: string): Promise<string[]>
  read(path: string, offset: number, length: number): Promise<Buffer>
  /** Throws an error with `code` ENODATA if the file has no such attribute. */
  xattr(path: string, name: string): Promise<Buffer>
  xattrNames(path: string): Promise<string[]>
}

/**
 * A feature that a transport cannot express. A suite skips the test of that feature and names it.
 */
export type Limitation =
  | 'hard-link inode numbers'
  | 'extended attributes'
  | 'nanoseconds'
  | 'names that are not UTF-8'
  | 'blocks'
  | 'devices'
  | 'ids above 2^31'
