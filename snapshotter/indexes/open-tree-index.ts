/** Opens the index of a registered tree. It may still be partial. */
import type { TreeRegistry } from '../../fusefs/index.js'
import { type Digest, Index } from '../../index-format/index.js'

/** Throws what `Index.open` throws. The caller closes the index. */
export function openTreeIndex(registry: TreeRegistry, digest: Digest): Index {
  const { path, isPartial } = registry.indexFile(digest)
  return Index.open(path, { isPartial })
}
