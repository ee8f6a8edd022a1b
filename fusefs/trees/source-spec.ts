/** Which trees a mount shows, in a form that can be posted to a thread; every thread opens its own. */
import { type Digest, Index } from '../../index-format/index.js'
import { RegisteredTrees } from './registered-trees.js'
import { SingleTree } from './single-tree.js'
import { type TreeClass, TreeRegistry } from './tree-registry.js'
import type { TreeSource } from './tree-source.js'

/** All trees of one class in a registry, or one index as the whole mount. */
export type TreeSourceSpec =
  | { readonly kind: 'registry'; readonly dir: string; readonly class: TreeClass }
  | {
      readonly kind: 'index'
      /** The index file, verified by whoever brought it. */
      readonly path: string
      readonly indexDigest: Digest
      readonly class: TreeClass
      readonly stores: readonly string[]
    }

/** Opens a source. `changes`: see `RegisteredTrees`. The caller closes it. */
export function openTreeSource(spec: TreeSourceSpec, changes: SharedArrayBuffer): TreeSource {
  switch (spec.kind) {
    case 'index':
      return new SingleTree(spec, Index.open(spec.path))
    case 'registry': {
      const registry = TreeRegistry.open({ dir: spec.dir, readonly: true })
      const openIndex = (path: string): Index => Index.open(path)
      return new RegisteredTrees({ class: spec.class, changes }, { registry, openIndex })
    }
  }
}
