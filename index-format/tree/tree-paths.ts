/** The paths of inodes. A tree cannot look them up, so they are found by walking the tree. */
import { isDirectory } from '../file-mode.js'
import { ROOT_INO, type Tree } from './tree.js'
import { joinPath } from './tree-walk.js'

const BATCH = 1024

/**
 * A path for each of `inos` that is in the tree: raw bytes without leading slash, empty for the
 * root. For an inode with several names, the path is the first in breadth-first order. Directories
 * are read until all of `inos` are found. A directory that appears twice, as in a damaged index, is
 * read once.
 */
export function pathsOf(tree: Tree, inos: Iterable<number>): Map<number, Uint8Array> {
  const wanted = new Set(inos)
  const root = { ino: ROOT_INO, path: new Uint8Array(0) }
  const found = new Map<number, Uint8Array>()
  if (wanted.delete(ROOT_INO)) found.set(ROOT_INO, root.path)
  const directories: { ino: number; path: Uint8Array }[] = [root]
  const seen = new Set([ROOT_INO])
  for (const directory of directories) {
    let cookie = 0
    for (;;) {
      if (wanted.size === 0) return found
      const entries = tree.readdir(directory.ino, cookie, BATCH)
      for (const { ino, name, mode } of entries) {
        const isWanted = wanted.delete(ino)
        const isNew = isDirectory(mode) && !seen.has(ino)
        if (!isWanted && !isNew) continue
        const path = joinPath(directory.path, name)
        if (isWanted) found.set(ino, path)
        if (isNew) directories.push({ ino, path })
        if (isNew) seen.add(ino)
      }
      const last = entries.at(-1)
      if (last === undefined) break
      ;({ cookie } = last)
    }
  }
  return found
}
