/** The index of a registered tree: the whole, or what has arrived of it. */
import type { TreeRegistry } from '../../fusefs/index.js'
import { type Digest, Index } from '../../index-format/index.js'

/** Throws what `Index.open` throws; the caller closes it. */
export function openTreeIndex(registry: TreeRegistry, digest: Digest): Index {
  const { path, isPartial } = registry.indexFile(digest)
  return Index.open(path, { isPartial })
}
