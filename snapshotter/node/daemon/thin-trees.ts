/**
 * Makes the trees of thin layers available. It stores their indexes on the local disk, gives each
 * tree a slot in the FUSE superblock of its class, and forgets a tree when its last snapshot is
 * gone. A tree's directory exists from the moment of its registration; no mount is made.
 */
import { accessSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ContentStore, TreeClass, TreeRecord, TreeRegistry } from '../../../fusefs/index.js'
import {
  type Digest,
  type IndexRef,
  isDirectory,
  type LayerFileRef,
  type PackRef,
  type Recipe,
  ROOT_INO,
  type ThinSection,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { KeyedLock } from '../../waiting/keyed-lock.js'
import type { HostDirectoryLayers } from '../snapshots/host-directory-layers.js'
import type {
  LowerDirectory,
  RestoreOptions,
  ThinLayer,
  ThinLayerPlace,
  ThinLayers,
  Usage,
} from '../snapshots/thin-layers.js'
import type { IndexCache } from '../../indexes/index-cache.js'
import { openTreeIndex } from '../../indexes/open-tree-index.js'
import type { PartialIndexes } from '../../indexes/partial-indexes.js'
import type { StoreSources } from '../../stores/store-sources.js'
import type { Starts } from '../starts/starts.js'
import type { TreeChanges } from '../tree-changes.js'

export interface ThinTreesOptions {
  /** The mountpoint of the superblock of each class. */
  readonly mountpoints: Readonly<Record<TreeClass, string>>
}

export interface ThinTreesModules {
  readonly registry: TreeRegistry
  readonly indexes: IndexCache
  readonly partialIndexes: PartialIndexes
  readonly sources: StoreSources
  /** Layers of a recipe that are directories of the host. */
  readonly hostDirectories: HostDirectoryLayers
  readonly content: ContentStore
  readonly starts: Pick<Starts, 'openTree' | 'removed'>
  readonly changes: TreeChanges
  /** Called after index files were deleted. */
  readonly onIndexesDeleted: () => void
  /** Resolves when the mount of a class may be used by this process. */
  readonly prepareMount: (treeClass: TreeClass) => Promise<void>
}

/** One pull of a thin layer. */
interface Pull {
  readonly recipe: Recipe
  readonly thin: ThinSection
  readonly place: ThinLayerPlace
  readonly signal: AbortSignal
  /** Slots of the trees that the pull has registered up to now. */
  readonly slots: number[]
  /** Layers of host directories that the pull has registered up to now. */
  readonly hostLayers: ThinLayer[]
}

export class ThinTrees implements ThinLayers {
  readonly #options: ThinTreesOptions
  readonly #modules: ThinTreesModules
  /** How many snapshots use the tree in a slot. */
  readonly #uses = new Map<number, number>()
  /**
   * Locks index digests: a tree must not be forgotten while another snapshot is about to use it.
   */
  readonly #lock = new KeyedLock()

  constructor(options: ThinTreesOptions, modules: ThinTreesModules) {
    this.#options = options
    this.#modules = modules
  }

  async restore(layers: readonly ThinLayer[], options: RestoreOptions = {}): Promise<void> {
    for (const layer of layers) this.#count(layer, 1)
    const unused = this.#modules.registry
      .list()
      .flatMap(({ slot }) => (this.#uses.has(slot) ? [] : [slot]))
    if (options.keepsOthers === true) for (const slot of unused) this.#uses.set(slot, 1)
    else await this.#forget(unused)
    await this.#modules.partialIndexes.restore()
    await this.#modules.hostDirectories.restore(layers, options)
  }

  async register(recipe: Recipe, place: ThinLayerPlace, signal: AbortSignal): Promise<ThinLayer> {
    const { thin } = recipe
    if (thin === undefined) return this.#modules.hostDirectories.register(recipe, place, signal)
    const digests = [thin.merged, ...thin.layers].flatMap((ref) => ref?.digest ?? [])
    // Before anything is fetched, where the error still is one of the pull.
    if (digests.length > 0) this.#modules.sources.check(thin.stores)
    return this.#lock.with(digests, signal, async () => {
      const pull: Pull = { recipe, thin, place, signal, slots: [], hostLayers: [] }
      try {
        const layer = await this.#layer(pull)
        this.#count(layer, 1)
        return layer
      } catch (error) {
        await this.#undo(pull)
        throw error
      }
    })
  }

  async lowerdirs(layer: ThinLayer, signal: AbortSignal): Promise<readonly string[]> {
    const paths: string[] = []
    for (const lower of lowersOf(layer)) {
      if (lower.kind === 'tree') paths.push(this.#treePath(lower.tree))
      else
        paths.push(
          ...(await this.#modules.hostDirectories.lowerdirs(
            { kind: 'layers', layers: [lower] },
            signal,
          )),
        )
    }
    return paths
  }

  async release(layer: ThinLayer): Promise<void> {
    const { hostDirectories, registry } = this.#modules
    const slots = slotsOf(layer)
    const digests = slots.flatMap((slot) => registry.bySlot(slot)?.indexDigest ?? [])
    await this.#lock.with(digests, new AbortController().signal, async () => {
      this.#count(layer, -1)
      await this.#forget(slots.filter((slot) => !this.#uses.has(slot)))
    })
    await hostDirectories.release(layer)
  }

  /** How many snapshots use the tree in `slot`. */
  usesOf(slot: number): number {
    return this.#uses.get(slot) ?? 0
  }

  /** The classes of a layer's trees. */
  classesOf(layer: ThinLayer): TreeClass[] {
    return slotsOf(layer).flatMap((slot) => this.#modules.registry.bySlot(slot)?.class ?? [])
  }

  usage(layer: ThinLayer): Promise<Usage> {
    const slots = [...new Set(slotsOf(layer))]
    const sizeBytes = slots.reduce((sum, slot) => sum + this.#localBytes(slot), 0)
    return Promise.resolve({ sizeBytes, inodes: slots.length })
  }

  async #layer(pull: Pull): Promise<ThinLayer> {
    const { recipe, thin, place, signal } = pull
    const { merged } = thin
    // A merged tree begins at an empty root and keeps no whiteouts. Above other layers, the trees
    // of its layers have to be stacked: their whiteouts hide names of the layers below.
    if (merged !== undefined && (!place.hasParent || thin.layers.length === 0)) {
      const { slot } = await this.#modules.starts.openTree({
        thin: { ...thin, merged },
        folder: place.fsDir,
        register: () => this.#tree(merged, pull, thin.startup?.pages),
        isUsed: (tree) => this.usesOf(tree.slot) > 0,
      })
      return { kind: 'merged', tree: slot }
    }
    const layers: LowerDirectory[] = []
    for (const [i, ref] of thin.layers.entries()) {
      if (ref !== null) {
        const { slot } = await this.#tree(ref, pull)
        layers.unshift({ kind: 'tree', tree: slot })
        continue
      }
      const bottomFirst = recipe.layers.slice(i, i + 1)
      const host = await this.#modules.hostDirectories.register(
        { ...recipe, layers: bottomFirst },
        place,
        signal,
      )
      pull.hostLayers.push(host)
      layers.unshift(...lowersOf(host))
    }
    return { kind: 'layers', layers }
  }

  /**
   * Releases the trees and layers of a failed pull. Other pulls of the same trees wait meanwhile.
   */
  async #undo({ slots, hostLayers }: Pull): Promise<void> {
    await this.#forget(slots.filter((slot) => !this.#uses.has(slot)))
    for (const layer of hostLayers) await this.#modules.hostDirectories.release(layer)
  }

  /** Stores the index `ref`, or only its startup pages, and registers its tree. */
  async #tree(ref: IndexRef, pull: Pull, pages?: LayerFileRef): Promise<TreeRecord> {
    const { changes, indexes, partialIndexes, prepareMount, registry, sources } = this.#modules
    const { place, signal } = pull
    const { stores } = pull.thin
    const treeClass = classOf(ref)
    const embeddedPath = ref.embedded === undefined ? undefined : join(place.fsDir, ref.embedded)
    // The threads start while the index is stored. Callers that need them call `prepareMount`
    // again and get the error.
    prepareMount(treeClass).catch(() => undefined)
    const origin = pages && { ref, pages, stores, folder: place.fsDir }
    if (origin === undefined || !(await partialIndexes.begin(origin, signal))) {
      await indexes.ensure(ref, { embeddedPath, source: sources.for(stores) }, signal)
    }
    await this.#requireReadable(ref)
    const isKnown = registry.byIndex(ref.digest).some((tree) => tree.class === treeClass)
    const tree = registry.register({ indexDigest: ref.digest, class: treeClass, stores })
    pull.slots.push(tree.slot)
    // The kernel keeps the list of trees, so a new tree must be announced to it. The announcement
    // is made in a later turn of the event loop, because containerd waits for the answer to its
    // Commit.
    if (!isKnown) setImmediate(() => void changes.announce({ removedSlots: [] }))
    return tree
  }

  /**
   * Checks that the index can be opened. A file can have the right digest and still be no index.
   * The pull of its image then fails, instead of the first read. The file is deleted if no tree is
   * registered for it. Throws `invalid-content`.
   */
  async #requireReadable({ digest }: IndexRef): Promise<void> {
    const { registry } = this.#modules
    try {
      const index = openTreeIndex(registry, digest)
      try {
        const root = index.inode(ROOT_INO)
        if (root === undefined || !isDirectory(root.mode)) {
          throw new SnapshotterError('invalid-content', 'its root is not a directory')
        }
      } finally {
        index.close()
      }
    } catch (cause) {
      await this.#deleteUnused([digest])
      const why = cause instanceof Error ? cause.message : String(cause)
      const message = `index ${digest} cannot be used: ${why}; publish the image again`
      throw new SnapshotterError('invalid-content', message, { cause })
    }
  }

  /**
   * Checks that the index exists, so that the error can name it. Synchronous: container start waits
   * for this call.
   */
  #treePath(slot: number): string {
    const { registry } = this.#modules
    const record = registry.bySlot(slot)
    if (record === undefined) {
      throw new SnapshotterError(
        'failed-precondition',
        `tree ${slot} is not registered on this node; remove the image and pull it again`,
      )
    }
    const { path } = registry.indexFile(record.indexDigest)
    try {
      accessSync(path)
    } catch (cause) {
      throw new SnapshotterError(
        'failed-precondition',
        `the index of tree ${record.name} is missing at ${path}; remove the image and pull it again`,
        { cause },
      )
    }
    return join(this.#options.mountpoints[record.class], record.name)
  }

  /** Bytes on the local disk: the index file, and the cached part of the packs that it uses. */
  #localBytes(slot: number): number {
    const { registry, content } = this.#modules
    const record = registry.bySlot(slot)
    if (record === undefined) return 0
    const index = openTreeIndex(registry, record.indexDigest)
    try {
      return statSync(index.path).size + cachedBytesOf(index.packs(), content)
    } finally {
      index.close()
    }
  }

  #count(layer: ThinLayer, change: 1 | -1): void {
    for (const slot of slotsOf(layer)) {
      const uses = (this.#uses.get(slot) ?? 0) + change
      if (uses > 0) this.#uses.set(slot, uses)
      else this.#uses.delete(slot)
    }
  }

  /** Removes trees. An index file is deleted with the last tree that is served from it. */
  async #forget(slots: readonly number[]): Promise<void> {
    const { changes, registry, starts } = this.#modules
    const removed = slots.flatMap((slot) => registry.bySlot(slot) ?? [])
    starts.removed(slots)
    for (const { slot } of removed) registry.remove(slot)
    if (removed.length > 0) {
      void changes.announce({ removedSlots: removed.map(({ slot }) => slot) })
    }
    await this.#deleteUnused(removed.map(({ indexDigest }) => indexDigest))
  }

  /** Deletes the files of those indexes from which no tree is served. */
  async #deleteUnused(digests: readonly Digest[]): Promise<void> {
    const { onIndexesDeleted, partialIndexes, registry } = this.#modules
    const unused = digests.filter((digest) => registry.byIndex(digest).length === 0)
    for (const digest of unused) {
      await partialIndexes.forget(digest)
      rmSync(registry.indexPath(digest), { force: true })
    }
    if (unused.length > 0) onIndexesDeleted()
  }
}

/** Uncompressed bytes of `packs` that are in the local cache. */
export function cachedBytesOf(packs: readonly PackRef[], content: ContentStore): number {
  const present = new Map<string, number>()
  for (const { digest, presentBytes } of content.packs()) {
    present.set(digest, (present.get(digest) ?? 0) + presentBytes)
  }
  return packs.reduce((sum, pack) => sum + (present.get(pack.digest) ?? 0), 0)
}

function classOf(ref: IndexRef): TreeClass {
  return ref.xattrs ? 'xattr' : 'plain'
}

function lowersOf(layer: ThinLayer): readonly LowerDirectory[] {
  return layer.kind === 'merged' ? [{ kind: 'tree', tree: layer.tree }] : layer.layers
}

function slotsOf(layer: ThinLayer): number[] {
  return lowersOf(layer).flatMap((lower) => (lower.kind === 'tree' ? [lower.tree] : []))
}
