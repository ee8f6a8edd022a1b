/** The path of an inode, without walking the tree. */
import { ROOT_INO } from '../tree/tree.js'
import type { Index } from './index-file.js'

const MAX_DEPTH = 256

/**
 * The absolute path of `ino`, its bytes decoded as latin1. For an inode with several names, the
 * path is any of them. `undefined` if `Index.placeOf` does not find the inode or one of its
 * directories, and for a path of more than 256 names. Errors of `index` pass unchanged.
 */
export function pathOf(index: Index, ino: number): string | undefined {
  let path = ''
  for (let at = ino, depth = 0; at !== ROOT_INO; depth++) {
    const place = depth < MAX_DEPTH ? index.placeOf(at) : undefined
    if (place === undefined) return undefined
    path = `/${Buffer.from(place.name).toString('latin1')}${path}`
    at = place.parent
  }
  return path
}
