/**
 * Finds the inode at a path inside one tree. It follows the tree's own symlinks and never leaves
 * the tree's root. containerd looks in this way for a directory in each layer below the one that it
 * unpacks.
 */
import { isDirectory, isSymlink } from '../file-mode.js'
import { linkedPath } from '../layer/member-path.js'
import { MAX_SYMLINKS_FOLLOWED } from '../limits.js'
import { type Inode, ROOT_INO, type Tree } from '../tree/tree.js'

/**
 * The inode at `path`: latin1, clean, without slashes at its ends. A symlink as the last component
 * is followed, too. `undefined` if a component is missing. `blocked` if a component that should be
 * a directory is neither a directory nor a symlink, or if there are more than MAX_SYMLINKS_FOLLOWED
 * symlinks, as in a loop.
 */
export function inodeAt(tree: Tree, path: string): Inode | 'blocked' | undefined {
  let left = path
  for (let links = 0; links <= MAX_SYMLINKS_FOLLOWED; links++) {
    const step = walk(tree, left)
    if (step === undefined || step === 'blocked' || !('linked' in step)) return step
    left = step.linked
  }
  return 'blocked'
}

/** Walks to the first symlink. `linked` is then the whole path with the symlink's target in it. */
function walk(tree: Tree, path: string): Inode | 'blocked' | { linked: string } | undefined {
  let inode = tree.inode(ROOT_INO)
  if (path === '') return inode
  const names = path.split('/')
  for (const [i, name] of names.entries()) {
    if (inode === undefined) return undefined
    if (!isDirectory(inode.mode)) return 'blocked'
    const ino = tree.lookup(inode.ino, Buffer.from(name, 'latin1'))
    inode = ino === undefined ? undefined : tree.inode(ino)
    if (inode !== undefined && isSymlink(inode.mode)) {
      const target = linkedPath(
        names.slice(0, i).join('/'),
        tree.readlink(inode.ino) ?? new Uint8Array(),
      )
      return { linked: [target, ...names.slice(i + 1)].filter((part) => part !== '').join('/') }
    }
  }
  return inode
}
