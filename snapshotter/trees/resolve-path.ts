/** Resolves paths inside a tree as the kernel would after chroot(2) into it. */
import { type Inode, ROOT_INO, type Tree } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { escapePath } from './escape-name.js'

/** Symbolic links that one path may follow: MAXSYMLINKS of linux/namei.h. */
const MAX_SYMLINKS = 40
/** PATH_MAX of linux/limits.h. */
const MAX_PATH_BYTES = 4096
const S_IFMT = 0o170000

export interface ResolveOptions {
  /** Whether a symbolic link at the end of the path is followed. */
  readonly followLast: boolean
}

/**
 * The inode that `path` names. `..` of the root is the root. Throws `not-found`, `invalid-argument`
 * for a path that goes through a file, is too long or follows too many links, and `invalid-content`
 * if an inode is not in the index.
 */
export function resolvePath(tree: Tree, path: Uint8Array, options: ResolveOptions): Inode {
  if (path.length > MAX_PATH_BYTES) throw refused(path, `longer than ${MAX_PATH_BYTES} bytes`)
  const todo = componentsOf(path)
  // The inodes from the root down to the current place. `..` returns to the one before.
  const trail = [inodeOf(tree, ROOT_INO, path)]
  let links = 0
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    const directory = trail.at(-1) ?? inodeOf(tree, ROOT_INO, path)
    if ((directory.mode & S_IFMT) !== 0o040000) throw refused(path, 'a part of it is no directory')
    const text = Buffer.from(name).toString('latin1')
    if (text === '.') continue
    if (text === '..') {
      if (trail.length > 1) trail.pop()
      continue
    }
    const ino = tree.lookup(directory.ino, name)
    if (ino === undefined) throw absent(path)
    const inode = inodeOf(tree, ino, path)
    const isLink = (inode.mode & S_IFMT) === 0o120000
    if (!isLink || (todo.length === 0 && !options.followLast)) {
      trail.push(inode)
      continue
    }
    if (++links > MAX_SYMLINKS) throw refused(path, `more than ${MAX_SYMLINKS} symbolic links`)
    const target = tree.readlink(ino) ?? new Uint8Array(0)
    if (target[0] === 0x2f) trail.length = 1
    todo.push(...componentsOf(target))
  }
  return trail.at(-1) ?? inodeOf(tree, ROOT_INO, path)
}

/** The components of a path, last first, so that `pop` gives the next one. */
function componentsOf(path: Uint8Array): Uint8Array[] {
  const components: Uint8Array[] = []
  for (let from = 0; from < path.length;) {
    const slash = path.indexOf(0x2f, from)
    const to = slash < 0 ? path.length : slash
    if (to > from) components.push(path.subarray(from, to))
    from = to + 1
  }
  // A slash at the end asks for a directory, as "." does.
  if (path.length > 1 && path.at(-1) === 0x2f) components.push(Buffer.from('.'))
  return components.reverse()
}

function inodeOf(tree: Tree, ino: number, path: Uint8Array): Inode {
  const inode = tree.inode(ino)
  if (inode !== undefined) return inode
  throw new SnapshotterError(
    'invalid-content',
    `/${escapePath(path)}: inode ${ino} is not in the index; run thinctl check on it`,
  )
}

function absent(path: Uint8Array): SnapshotterError {
  return new SnapshotterError('not-found', `${escapePath(path)}: no such file or directory`)
}

function refused(path: Uint8Array, why: string): SnapshotterError {
  return new SnapshotterError('invalid-argument', `${escapePath(path.subarray(0, 200))}: ${why}`)
}
