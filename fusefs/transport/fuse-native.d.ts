/** Types of the parts of fuse-native 2.2 that are used here. The package ships no types. */
declare module 'fuse-native' {
  /** `error` is 0 or a negative errno. */
  export type Done<Results extends unknown[] = []> = (error: number, ...results: Results) => void

  /**
   * The fields that fuse-native's `getStatArray` reads. Times are in milliseconds. `rdev` is
   * encoded as in the kernel.
   */
  export interface NativeStat {
    readonly mode: number
    readonly uid: number
    readonly gid: number
    readonly size: number
    readonly nlink: number
    readonly rdev: number
    readonly blksize: number
    readonly blocks: number
    readonly atime: number
    readonly mtime: number
    readonly ctime: number
  }

  /** Paths are absolute within the mount, decoded as UTF-8. */
  export interface NativeOperations {
    readonly getattr?: (path: string, done: Done<[NativeStat?]>) => void
    readonly readdir?: (path: string, done: Done<[string[]?]>) => void
    readonly readlink?: (path: string, done: Done<[string?]>) => void
    readonly open?: (path: string, flags: number, done: Done<[number?]>) => void
    /** `done` takes the number of bytes, or a negative errno. */
    readonly read?: (
      path: string,
      fd: number,
      target: Buffer,
      length: number,
      offset: number,
      done: Done,
    ) => void
    readonly getxattr?: (
      path: string,
      name: string,
      position: number,
      done: Done<[Buffer?]>,
    ) => void
    readonly listxattr?: (path: string, done: Done<[string[]?]>) => void
    readonly statfs?: (path: string, done: Done<[Readonly<Record<string, number>>?]>) => void
  }

  export interface NativeOptions {
    readonly fsname?: string
    readonly subtype?: string
    /** Time limit of an operation in milliseconds; false for no limit. Default 15 s. */
    readonly timeout?: number | false
    readonly kernelCache?: boolean
    readonly entryTimeout?: number
    readonly attrTimeout?: number
  }

  class Fuse {
    constructor(mountpoint: string, operations: NativeOperations, options: NativeOptions)
    mount(done: (error: Error | null) => void): void
    unmount(done: (error: Error | null) => void): void
  }

  export default Fuse
}
