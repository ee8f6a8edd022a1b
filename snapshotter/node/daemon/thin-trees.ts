/**
 * Makes the trees of thin layers available: brings their indexes here, gives each a slot in the
 * FUSE superblock of its class, and forgets them when the last snapshot is gone. A tree's directory
 * exists from the moment of its registration; no mount is made.
 */
import { accessSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { ContentStore, TreeClass, TreeRegistry } from '../../../fusefs/index.js'
import type {
  IndexRef,
  LayerFileRef,
  PackRef,
  Recipe,
  ThinSection,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { KeyedLock } from '../../waiting/keyed-lock.js'
import type { HostDirectoryLayers } from '../snapshots/host-directory-layers.js'
import type {
  LowerDirectory,
  ThinLayer,
  ThinLayerPlace,
  ThinLayers,
  Usage,
} from '../snapshots/thin-layers.js'
import type { IndexCache } from '../../indexes/index-cache.js'
import { openTreeIndex } from '../../indexes/open-tree-index.js'
import type { PartialIndexes } from '../../indexes/partial-indexes.js'
import type { StartupPrefetcher } from '../starts/startup-prefetcher.js'
import type { StoreSources } from '../../stores/store-sources.js'
import type { UnpublishedStarts } from '../starts/unpublished-starts.js'

export interface ThinTreesOptions {
  /** Where the superblock of each class is mounted. */
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
  readonly startup: StartupPrefetcher
  readonly unpublished: UnpublishedStarts
  /** Makes ready for trees of a class; resolves when its mount may be used from here. */
  readonly prepare: (treeClass: TreeClass) => Promise<void>
  /** Called after a tree was added to the registry. */
  readonly onAdded: () => void
  /** Called after trees were removed from it. */
  readonly onRemoved: (slots: readonly number[]) => void
}

export class ThinTrees implements ThinLayers {
  readonly #options: ThinTreesOptions
  readonly #modules: ThinTreesModules
  /** How many snapshots use the tree in a slot. */
  readonly #uses = new Map<number, number>()
  /** By index digest: a tree must not be forgotten while another snapshot is about to use it. */
  readonly #lock = new KeyedLock()

  constructor(options: ThinTreesOptions, modules: ThinTreesModules) {
    this.#options = options
    this.#modules = modules
  }

  async restore(layers: readonly ThinLayer[]): Promise<void> {
    for (const layer of layers) this.#count(layer, 1)
    const unused = this.#modules.registry.list().filter(({ slot }) => !this.#uses.has(slot))
    await this.#forget(unused.map(({ slot }) => slot))
    await this.#modules.partialIndexes.restore()
    await this.#modules.hostDirectories.restore(layers)
  }

  async register(recipe: Recipe, place: ThinLayerPlace, signal: AbortSignal): Promise<ThinLayer> {
    const { thin } = recipe
    if (thin === undefined) return this.#modules.hostDirectories.register(recipe, place, signal)
    const digests = [thin.merged, ...thin.layers].flatMap((ref) => ref?.digest ?? [])
    // Before anything is fetched, where the error still is one of the pull.
    if (digests.length > 0) this.#modules.sources.check(thin.stores)
    return this.#lock.with(digests, signal, async () => {
      const layer = await this.#layer(recipe, thin, place, signal)
      this.#count(layer, 1)
      return layer
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

  usage(layer: ThinLayer): Promise<Usage> {
    const slots = [...new Set(slotsOf(layer))]
    const sizeBytes = slots.reduce((sum, slot) => sum + this.#localBytes(slot), 0)
    return Promise.resolve({ sizeBytes, inodes: slots.length })
  }

  async #layer(
    recipe: Recipe,
    thin: ThinSection,
    place: ThinLayerPlace,
    signal: AbortSignal,
  ): Promise<ThinLayer> {
    // A merged tree begins at an empty root and keeps no whiteouts: above other layers, the trees
    // of its layers have to be stacked, whose whiteouts hide what is below.
    if (thin.merged !== undefined && (!place.hasParent || thin.layers.length === 0)) {
      return { kind: 'merged', tree: await this.#mergedTree(thin, thin.merged, place, signal) }
    }
    const layers: LowerDirectory[] = []
    for (const [i, ref] of thin.layers.entries()) {
      if (ref !== null) {
        layers.unshift({ kind: 'tree', tree: await this.#tree(ref, thin.stores, place, signal) })
        continue
      }
      const bottomFirst = recipe.layers.slice(i, i + 1)
      const host = await this.#modules.hostDirectories.register(
        { ...recipe, layers: bottomFirst },
        place,
        signal,
      )
      layers.unshift(...lowersOf(host))
    }
    return { kind: 'layers', layers }
  }

  /** Its start is fetched while the index is unpacked, and before containerd asks for anything. */
  async #mergedTree(
    thin: ThinSection,
    merged: IndexRef,
    place: ThinLayerPlace,
    signal: AbortSignal,
  ): Promise<number> {
    const { partialIndexes, prepare, registry, startup, unpublished } = this.#modules
    const flight = startup.begin(thin, place.fsDir)
    const pending = flight === undefined ? unpublished.begin(thin, place.fsDir) : undefined
    try {
      const slot = await this.#tree(merged, thin.stores, place, signal, thin.startup?.pages)
      partialIndexes.completeAfter(merged.digest, flight?.done ?? Promise.resolve())
      const tree = registry.bySlot(slot)
      // Both read names in the mount.
      if (flight !== undefined || pending !== undefined) await prepare(classOf(merged))
      if (flight !== undefined && tree !== undefined) await startup.land(flight, tree)
      // A tree that is in use has started before.
      const isFirst = tree !== undefined && this.usesOf(slot) === 0
      if (pending !== undefined && isFirst) await unpublished.land(pending, tree, thin.stores)
      return slot
    } catch (error) {
      flight?.cancel()
      throw error
    }
  }

  async #tree(
    ref: IndexRef,
    stores: readonly string[],
    place: ThinLayerPlace,
    signal: AbortSignal,
    pages?: LayerFileRef,
  ): Promise<number> {
    const { indexes, onAdded, partialIndexes, prepare, registry, sources } = this.#modules
    const treeClass = classOf(ref)
    const embeddedPath = ref.embedded === undefined ? undefined : join(place.fsDir, ref.embedded)
    // Whoever needs it waits for it, and hears when it fails.
    prepare(treeClass).catch(() => undefined)
    const origin = pages && { ref, pages, stores, folder: place.fsDir }
    if (origin === undefined || !(await partialIndexes.begin(origin, signal))) {
      await indexes.ensure(ref, { embeddedPath, source: sources.for(stores) }, signal)
    }
    const isKnown = registry.byIndex(ref.digest).some((tree) => tree.class === treeClass)
    const { slot } = registry.register({ indexDigest: ref.digest, class: treeClass, stores })
    if (!isKnown) onAdded()
    return slot
  }

  /**
   * The index is looked for here, where an error can say what is wrong, rather than at the first read;
   * without a turn of libuv's pool, as a container's start waits for it.
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

  /** The index, and what is cached of the packs it uses. */
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

  /** The index file goes with the last tree that is served from it. */
  async #forget(slots: readonly number[]): Promise<void> {
    const { partialIndexes, registry, startup, unpublished, onRemoved } = this.#modules
    const removed = slots.flatMap((slot) => registry.bySlot(slot) ?? [])
    startup.cancel(slots)
    unpublished.cancel(slots)
    for (const { slot } of removed) registry.remove(slot)
    if (removed.length > 0) onRemoved(removed.map(({ slot }) => slot))
    for (const { indexDigest } of removed) {
      if (registry.byIndex(indexDigest).length > 0) continue
      await partialIndexes.forget(indexDigest)
      rmSync(registry.indexPath(indexDigest), { force: true })
    }
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
