/** From inode numbers back to names, which a tree does not keep: found by walking it. */
import { isDirectory } from '../file-mode.js'
import { ROOT_INO, type Tree } from '../tree/tree.js'

const BATCH = 1024
const SLASH = Buffer.from('/')

/**
 * A path, raw bytes without leading slash, for each of `inos` that the tree has; of several names the
 * first in the order of the walk. Reads directories until all are found.
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
