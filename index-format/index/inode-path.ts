/** The path of an inode, without walking the tree. */
import { ROOT_INO } from '../tree/tree.js'
import type { Index } from './index-file.js'

const MAX_DEPTH = 256

/** Absolute, latin1; of several any. Undefined where it is not found; throws what reading the index throws. */
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
