/** Describes the trees of a mount, so that each thread can open its own `TreeSource`. */
import { type Digest, Index, PageCache } from '../../index-format/reading.js'
import { RegisteredTrees } from './registered-trees.js'
import { SingleTree } from './single-tree.js'
import { type TreeClass, TreeRegistry } from './tree-registry.js'
import type { TreeSource } from './tree-source.js'

/** Either all trees of one class in a registry, or one index as the whole mount. */
export type TreeSourceSpec =
  | { readonly kind: 'registry'; readonly dir: string; readonly class: TreeClass }
  | {
      readonly kind: 'index'
      /** The index file. The caller has verified it. */
      readonly path: string
      readonly indexDigest: Digest
      readonly class: TreeClass
      readonly stores: readonly string[]
    }

/** Pages of 4 KiB, so 2 MiB: names, inodes and listings of all trees that a thread reads. */
const PAGES_OF_ALL = 512
/** Small, because SQLite answers only rare queries, and the kernel's page cache holds the file. */
const SQLITE_CACHE_BYTES = 64 * 1024

/**
 * Opens a source. `changes`: see `RegisteredTreesOptions`. Throws `tree-unavailable` for a
 * registry, or an error of `Index.open` for an index. The caller closes the source.
 */
export function openTreeSource(spec: TreeSourceSpec, changes: SharedArrayBuffer): TreeSource {
  switch (spec.kind) {
    case 'index':
      return new SingleTree(spec, Index.open(spec.path))
    case 'registry': {
      const registry = TreeRegistry.open({ dir: spec.dir, readonly: true })
      // One page cache for all trees bounds a thread's memory, however many trees it reads.
      const pages = new PageCache({ maxPages: PAGES_OF_ALL, recycles: true })
      const openIndex = (path: string, isPartial: boolean): Index =>
        Index.open(path, { pages, isPartial, cacheBytes: SQLITE_CACHE_BYTES })
      const forget = (): void => {
        pages.recycle()
      }
      return new RegisteredTrees({ class: spec.class, changes }, { registry, openIndex, forget })
    }
  }
}
