/** Finds the paths of inode numbers. A tree does not store them, so they are found by a walk. */
import { isDirectory } from '../file-mode.js'
import { ROOT_INO, type Tree } from '../tree/tree.js'

const BATCH = 1024
const SLASH = Buffer.from('/')

/**
 * A path for each of `inos` that is in the tree and is not a directory: raw bytes, without leading
 * slash. If an inode has several names, the path is the first one of the walk, which is breadth
 * first. Reads directories until all `inos` are found.
 */
export function pathsOf(tree: Tree, inos: Iterable<number>): Map<number, Uint8Array> {
  const wanted = new Set(inos)
  const found = new Map<number, Uint8Array>()
  const directories: { ino: number; path: Uint8Array }[] = [
    { ino: ROOT_INO, path: new Uint8Array(0) },
  ]
  for (const directory of directories) {
    let cookie = 0
    for (;;) {
      if (wanted.size === 0) return found
      const entries = tree.readdir(directory.ino, cookie, BATCH)
      for (const { ino, name, mode } of entries) {
        if (!isDirectory(mode) && !wanted.delete(ino)) continue
        const path = directory.ino === ROOT_INO ? name : joined(directory.path, name)
        if (isDirectory(mode)) directories.push({ ino, path })
        else found.set(ino, path)
      }
      const last = entries.at(-1)
      if (last === undefined) break
      ;({ cookie } = last)
    }
  }
  return found
}

function joined(directory: Uint8Array, name: Uint8Array): Uint8Array {
  return Buffer.concat([directory, SLASH, name])
}
