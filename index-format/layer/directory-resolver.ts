/**
 * Finds the directory that a path means inside one layer, following the layer's own symlinks and never
 * leaving its root, as containerd resolves the parents of what it unpacks. Directories that nobody
 * named yet can be made on the way.
 */
import { IndexFormatError } from '../errors.js'
import { isDirectory, isSymlink, S_ISGID } from '../file-mode.js'
import { MAX_MEMBER_PATH_BYTES, MAX_SYMLINKS_FOLLOWED, MAX_TREE_DEPTH } from '../limits.js'
import { ROOT_INO } from '../tree/tree.js'
import { escapePath, linkedPath, pathBytes } from './member-path.js'
import { inheritedXattrs } from './member-xattrs.js'
import { WHITEOUT_MODE } from './whiteout.js'
import type { Found, WorkTree } from './work-tree.js'

/** Remembered paths; all are forgotten when there are more. */
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
  /** Components being resolved, those of links on the way included. */
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

  /** Something that is not a file was removed or replaced: what paths mean may have changed. */
  forget(): void {
    this.#cache.clear()
  }

  /** The directory `path` means, made with its missing parents as `implied` ones where need be. */
  ensure(path: string, what: string): Directory {
    const directory = this.#directory(path, { create: true, what, linksFollowed: 0, depth: 0 })
    if (directory === undefined) throw new Error(`ensure ${escapePath(path)}: not created`)
    return directory
  }

  /** The directory `path` means, or `undefined` when there is none. */
  existing(path: string, what: string): Directory | undefined {
    return this.#directory(path, { create: false, what, linksFollowed: 0, depth: 0 })
  }

  /**
   * What bears the path, a link in its last place followed too; `undefined` when nothing does, or the
   * path leads through a file or round in circles.
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

  /** Links whose targets begin with links nest: without a bound they would exhaust the stack. */
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
      // A whiteout and then a name below it: the directory is made anew, as if it were named itself.
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

  /** As mkdir(2) makes it for containerd: 0755, root's, but the group of a set-group-ID parent. */
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
