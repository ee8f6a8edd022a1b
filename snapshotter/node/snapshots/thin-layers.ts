/**
 * The seam to whatever serves thin layers. The snapshot store knows which of its snapshots are thin
 * and keeps what `register` returned; where the trees are, and how they are fetched, it does not know.
 */
import type { Recipe } from '../../../index-format/index.js'

/** One lower directory of a thin layer: a tree of ours, or a directory of the host. */
export type LowerDirectory =
  | { readonly kind: 'tree'; readonly tree: number }
  | { readonly kind: 'directory'; readonly path: string }

/**
 * What a committed snapshot keeps of its thin layer: plain JSON, stored with the snapshot. Trees
 * are numbers that mean something to the `ThinLayers` that issued them, also after a restart.
 */
export type ThinLayer =
  /** All layers of the recipe, flattened. */
  | { readonly kind: 'merged'; readonly tree: number }
  /** One entry for each layer of the recipe, TOP FIRST: the order of overlayfs's lowerdir. */
  | { readonly kind: 'layers'; readonly layers: readonly LowerDirectory[] }

/** Where a recipe was found. */
export interface ThinLayerPlace {
  /** The upper directory that holds `thin.json` and perhaps `thin-index.zst`. Absolute path. */
  readonly fsDir: string
  /**
   * Whether the snapshot has a parent. Then the layer's whiteouts must hide what is below: a merged
   * tree will do only if it kept them.
   */
  readonly hasParent: boolean
  /** The image's reference, where containerd said it; for messages. */
  readonly image?: string | undefined
}

/** Bytes and inodes on local disk, as containerd counts them. */
export interface Usage {
  readonly sizeBytes: number
  readonly inodes: number
}

export interface RestoreOptions {
  readonly keepsOthers?: boolean
}

/**
 * Serves the trees of thin layers. Calls are counted per snapshot: a layer is in use as often as it
 * was registered or restored, less how often it was released.
 */
export interface ThinLayers {
  /**
   * Called once when a store opens, before anything else, with the thin layer of every snapshot it
   * holds (equal ones as often as they occur). What is not among them may be forgotten, unless
   * `keepsOthers` (default false): containers may run on snapshots that the store does not know.
   * Must not need the network; a layer that cannot be served now must fail in `lowerdirs`, not here.
   */
  restore(layers: readonly ThinLayer[], options?: RestoreOptions): Promise<void>
  /**
   * Commit found a recipe: makes its trees available. Registering the same recipe again gives an
   * equal layer. Throws a `SnapshotterError` that names store and digest: `unavailable` (the store
   * cannot be reached), `invalid-content` (what it sent is not what the recipe names),
   * `failed-precondition` (a directory of the host is missing), `cancelled` (by `signal`).
   */
  register(recipe: Recipe, place: ThinLayerPlace, signal: AbortSignal): Promise<ThinLayer>
  /**
   * Absolute paths for overlayfs's lowerdir, top first; none for a recipe without layers. They hold
   * no colon, comma or backslash, and are short and below the store's root, so that 128 of them fit
   * in one page of mount options. Throws as `register` does when the layer cannot be served.
   */
  lowerdirs(layer: ThinLayer, signal: AbortSignal): Promise<readonly string[]>
  /** A snapshot with this layer is gone. */
  release(layer: ThinLayer): Promise<void>
  /** What is on the local disk on this layer's account now; shared content counts for every layer. */
  usage(layer: ThinLayer): Promise<Usage>
}

/** Parses what `JSON.stringify` made of a `ThinLayer`; `undefined` for anything else. */
export function thinLayerFromJson(text: string): ThinLayer | undefined {
  const value: unknown = JSON.parse(text)
  if (!isRecord(value)) return undefined
  if (value['kind'] === 'merged') {
    const tree = value['tree']
    return isTreeNumber(tree) ? { kind: 'merged', tree } : undefined
  }
  if (value['kind'] !== 'layers' || !Array.isArray(value['layers'])) return undefined
  const layers = value['layers'].map(lowerDirectoryFrom)
  const known = layers.filter((layer) => layer !== undefined)
  return known.length === layers.length ? { kind: 'layers', layers: known } : undefined
}

function lowerDirectoryFrom(value: unknown): LowerDirectory | undefined {
  if (!isRecord(value)) return undefined
  const { kind, tree, path } = value
  if (kind === 'tree' && isTreeNumber(tree)) return { kind, tree }
  if (kind === 'directory' && typeof path === 'string') return { kind, path }
  return undefined
}

function isTreeNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
