/**
 * The tree of the rehearsal image: a root directory with a few files. Each is a run of one pack.
 */
import {
  type DirEntry,
  type Extent,
  type Inode,
  ROOT_INO,
  type Tree,
  type Xattr,
} from '../../../index-format/index.js'

/**
 * A file, whose bytes begin the pack `pack`. Its inode number is its position in the list plus 2.
 */
export interface RehearsalFile {
  readonly name: string
  readonly sizeBytes: number
  /** Position in the list of packs. */
  readonly pack: number
}

const S_IFDIR = 0o040000
const S_IFREG = 0o100000
const FIRST_FILE_INO = ROOT_INO + 1

export class RehearsalTree implements Tree {
  readonly #files: readonly RehearsalFile[]

  /** `files` must be in byte order of name. */
  constructor(files: readonly RehearsalFile[]) {
    this.#files = files
  }

  inode(ino: number): Inode | undefined {
    const file = this.#file(ino)
    if (file === undefined && ino !== ROOT_INO) return undefined
    return {
      ino,
      mode: file === undefined ? S_IFDIR | 0o755 : S_IFREG | 0o644,
      uid: 0,
      gid: 0,
      nlink: file === undefined ? 2 : 1,
      sizeBytes: file?.sizeBytes ?? 4096,
      storedBytes: file?.sizeBytes ?? 0,
      rdev: 0,
      mtimeSec: 0,
      mtimeNsec: 0,
      implied: false,
    }
  }

  lookup(parent: number, name: Uint8Array): number | undefined {
    if (parent !== ROOT_INO) return undefined
    const at = this.#files.findIndex((file) => Buffer.from(file.name).equals(name))
    return at < 0 ? undefined : FIRST_FILE_INO + at
  }

  readdir(parent: number, cookie: number, limit: number): DirEntry[] {
    if (parent !== ROOT_INO) return []
    return this.#files.slice(cookie, cookie + limit).map((file, i) => ({
      name: Buffer.from(file.name),
      ino: FIRST_FILE_INO + cookie + i,
      mode: S_IFREG | 0o644,
      cookie: cookie + i + 1,
    }))
  }

  readlink(): undefined {
    return undefined
  }

  xattrs(): Xattr[] {
    return []
  }

  extents(ino: number): Extent[] {
    const file = this.#file(ino)
    if (file === undefined) return []
    return [{ offset: 0, length: file.sizeBytes, pack: file.pack, rawOffset: 0 }]
  }

  #file(ino: number): RehearsalFile | undefined {
    return this.#files[ino - FIRST_FILE_INO]
  }
}
