/**
 * Guesses which plugins a program will open. A program that has waited for three libraries of one
 * directory will probably open more of them, one after the other, in an order that is not known.
 * Each further wait allows 4 MiB more to be fetched. So a program that uses two of a hundred
 * plugins does not fetch all of them.
 */
import { LRUCache } from 'lru-cache'
import { type Index, isRegular } from '../../../index-format/index.js'
import { isLibraryFolder } from '../../trees/library-search.js'
import type { ClaimLibrary, Library } from './library-walk.js'

/** Uncompressed bytes that may be fetched for each library that a program has waited for. */
const BYTES_PER_WAIT = 4 * 1024 * 1024
/** Larger libraries are hardly plugins. They are left out. */
const MAX_PLUGIN_BYTES = 2 * 1024 * 1024
/** Not 2: some programs use only two plugins of a directory, such as postgresql two of fifty. */
const MIN_WAITS = 3
/** Directories with more names are ignored. */
const MAX_NAMES = 1024
const MAX_DIRECTORIES = 1024
const PLUGIN_NAME = /\.so(\.[0-9.]+)?$/

interface PluginDirectory {
  waits: number
  grantedBytes: number
}

export class PluginDirectories {
  /** Directories by slot and path. */
  readonly #known = new LRUCache<string, PluginDirectory>({ max: MAX_DIRECTORIES })

  /**
   * Called when a program has waited for the library `ino` of the tree in `slot`. The caller has
   * claimed it. Claims and returns the other libraries of its directory that are worth fetching
   * now. Throws what reading the index throws.
   */
  waited(
    { slot, ino, path }: { slot: number; ino: number; path: string | undefined },
    { index, claim }: { index: Index; claim: ClaimLibrary },
  ): Library[] {
    const folder = path?.slice(0, path.lastIndexOf('/'))
    if (folder === undefined || isLibraryFolder(folder)) return []
    const key = `${slot} ${folder}`
    const directory = this.#known.get(key) ?? { waits: 0, grantedBytes: 0 }
    this.#known.set(key, directory)
    directory.waits++
    if (directory.waits < MIN_WAITS) return []
    return pluginsOf(index, folder, ino).filter(({ inode }) => {
      const grantedBytes = directory.grantedBytes + inode.sizeBytes
      if (grantedBytes > directory.waits * BYTES_PER_WAIT || !claim(inode.ino)) return false
      directory.grantedBytes = grantedBytes
      return true
    })
  }
}

/** The plugins of a folder in index order: first the ones after `ino`, then the ones before it. */
function pluginsOf(index: Index, folder: string, ino: number): Library[] {
  const parent = index.placeOf(ino)?.parent
  const entries = parent === undefined ? [] : index.readdirPlus(parent, 0, MAX_NAMES + 1)
  if (entries.length > MAX_NAMES) return []
  const plugins = entries.flatMap(({ name, inode }) => {
    const text = Buffer.from(name).toString('latin1')
    const isPlugin =
      isRegular(inode.mode) && inode.sizeBytes <= MAX_PLUGIN_BYTES && PLUGIN_NAME.test(text)
    return isPlugin ? [{ inode, path: `${folder}/${text}` }] : []
  })
  const at = plugins.findIndex((plugin) => plugin.inode.ino === ino) + 1
  return [...plugins.slice(at), ...plugins.slice(0, at)]
}
