/**
 * Finds the directory at a path inside one layer. It follows the layer's own symlinks and never
 * leaves the layer's root, as containerd does for the parents of a member. It can make missing
 * directories on the way.
 */
import { IndexFormatError } from '../errors.js'
import { isDirectory, isSymlink, S_ISGID } from '../file-mode.js'
import { MAX_MEMBER_PATH_BYTES, MAX_SYMLINKS_FOLLOWED, MAX_TREE_DEPTH } from '../limits.js'
import { ROOT_INO } from '../tree/tree.js'
import { escapePath, linkedPath, pathBytes } from './member-path.js'
import { inheritedXattrs } from './member-xattrs.js'
import { WHITEOUT_MODE } from './whiteout.js'
import type { Found, WorkTree } from './work-tree.js'

/** Remembered paths. When there are more, all are forgotten. */
const CACHE_ENTRIES = 16_384

export interface Directory {
  readonly ino: number
  /** Its path without links, in latin1, without slashes at its ends. */
  readonly path: string
}

interface Walk {
  readonly create: boolean
  /** The member, for messages. */
  readonly what: string
  linksFollowed: number
  /** Path components being resolved, including those of symlink targets on the way. */
  depth: number
}

const ROOT: Directory = { ino: ROOT_INO, path: '' }

export class DirectoryResolver {
  readonly #tree: WorkTree
  readonly #cache = new Map<string, Directory>()
  /** Whether any directory has a default access control list that new ones inherit. */
  inheritsAcls = false

  constructor(tree: WorkTree) {
    this.#tree = tree
  }

  /** Forgets all remembered paths. Call it when anything but a file is removed or replaced. */
  forget(): void {
    this.#cache.clear()
  }

  /**
   * The directory at `path`. If it or a parent is missing, it is made as an `implied` directory.
   * Throws `invalid-layer` or `limit-exceeded`; `what` names the member.
   */
  ensure(path: string, what: string): Directory {
    const directory = this.#directory(path, { create: true, what, linksFollowed: 0, depth: 0 })
    if (directory === undefined) throw new Error(`ensure ${escapePath(path)}: not created`)
    return directory
  }

  /** The directory at `path`, or `undefined` if a part is missing. Throws as `ensure` does. */
  existing(path: string, what: string): Directory | undefined {
    return this.#directory(path, { create: false, what, linksFollowed: 0, depth: 0 })
  }

  /**
   * The inode at `path`. A symlink as the last component is followed, too. `undefined` if there is
   * none, or if the path leads through a file or a loop of symlinks.
   */
  follow(path: string): Found | undefined {
    try {
      return this.#follow(path, { create: false, what: 'a directory', linksFollowed: 0, depth: 0 })
    } catch (error) {
      if (error instanceof IndexFormatError) return undefined
      throw error
    }
  }

  #follow(path: string, walk: Walk): Found | undefined {
    for (let at = path; ;) {
      if (at === '') return { ino: ROOT_INO, mode: this.#tree.inodeMode(ROOT_INO) }
      const slash = at.lastIndexOf('/')
      const parent = this.#directory(slash === -1 ? '' : at.slice(0, slash), walk)
      if (parent === undefined) return undefined
      const found = this.#tree.find(parent.ino, pathBytes(at.slice(slash + 1)))
      if (found === undefined || !isSymlink(found.mode)) return found
      at = this.#linked(parent, found, walk)
    }
  }

  #directory(path: string, walk: Walk): Directory | undefined {
    if (path === '') return ROOT
    const known = this.#cache.get(path)
    if (known !== undefined) return known
    const slash = path.lastIndexOf('/')
    this.#descend(walk)
    const parent = this.#directory(slash === -1 ? '' : path.slice(0, slash), walk)
    if (parent === undefined) return undefined
    const directory = this.#child(parent, path.slice(slash + 1), walk)
    walk.depth--
    if (directory === undefined) return undefined
    if (this.#cache.size >= CACHE_ENTRIES) this.#cache.clear()
    this.#cache.set(path, directory)
    return directory
  }

  /** Symlinks whose targets begin with symlinks nest: a bound keeps the stack from overflowing. */
  #descend(walk: Walk): void {
    walk.depth++
    if (walk.depth <= 2 * MAX_TREE_DEPTH) return
    throw new IndexFormatError(
      'limit-exceeded',
      `${walk.what}: symbolic links lead more than ${2 * MAX_TREE_DEPTH} directories deep`,
    )
  }

  #child(parent: Directory, name: string, walk: Walk): Directory | undefined {
    const path = parent.path === '' ? name : `${parent.path}/${name}`
    if (path.length > MAX_MEMBER_PATH_BYTES) {
      throw new IndexFormatError(
        'limit-exceeded',
        `${walk.what}: its parent has a path of ${path.length} bytes without links, the limit is ${MAX_MEMBER_PATH_BYTES}`,
      )
    }
    const found = this.#tree.find(parent.ino, pathBytes(name))
    if (found === undefined) {
      return walk.create ? { ino: this.#imply(parent.ino, name), path } : undefined
    }
    if (isDirectory(found.mode)) return { ino: found.ino, path }
    if (isSymlink(found.mode)) return this.#directory(this.#linked(parent, found, walk), walk)
    if (found.mode === WHITEOUT_MODE && walk.create) {
      // The archive has a whiteout and then a name below it: a directory replaces the whiteout.
      this.#tree.remove(parent.ino, pathBytes(name), found)
      return { ino: this.#imply(parent.ino, name), path }
    }
    throw new IndexFormatError(
      'invalid-layer',
      `${walk.what}: its parent "${escapePath(path)}" is no directory in this layer`,
    )
  }

  #linked(parent: Directory, link: Found, walk: Walk): string {
    walk.linksFollowed++
    if (walk.linksFollowed > MAX_SYMLINKS_FOLLOWED) {
      throw new IndexFormatError(
        'invalid-layer',
        `${walk.what}: more than ${MAX_SYMLINKS_FOLLOWED} symbolic links on the way, perhaps in a loop`,
      )
    }
    return linkedPath(parent.path, this.#tree.target(link.ino) ?? new Uint8Array())
  }

  /**
   * Makes a directory as mkdir(2) does for containerd: mode 0755, owner 0:0. In a set-group-ID
   * parent, it gets the parent's group.
   */
  #imply(parent: number, name: string): number {
    const above = this.#tree.owner(parent)
    const mode = 0o040755
    const ino = this.#tree.create(parent, pathBytes(name), {
      mode,
      uid: 0,
      gid: (above.mode & S_ISGID) === 0 ? 0 : above.gid,
      sizeBytes: 4096,
      storedBytes: 0,
      rdev: 0,
      mtimeSec: 0,
      mtimeNsec: 0,
      implied: true,
      target: null,
      digest: null,
    })
    if (ino === undefined) throw new Error(`imply ${escapePath(name)}: the name is taken`)
    if (this.inheritsAcls) {
      const xattrs = inheritedXattrs(this.#tree.xattrs(parent), mode)
      if (xattrs.size > 0) this.#tree.setXattrs(ino, xattrs)
    }
    return ino
  }
}
