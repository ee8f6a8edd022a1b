/**
 * The interface between the snapshot store and the server of thin layers. The store knows which of
 * its snapshots are thin and keeps the results of `register`. It does not know where trees are or
 * how they are fetched.
 */
import type { Recipe } from '../../../index-format/index.js'

/** One lower directory of a thin layer: a tree of ours, or a directory of the host. */
export type LowerDirectory =
  | { readonly kind: 'tree'; readonly tree: number }
  | { readonly kind: 'directory'; readonly path: string }

/**
 * A thin layer, as it is stored with its committed snapshot: plain JSON. A tree is a number that
 * the `ThinLayers` has assigned. The number stays valid after a restart.
 */
export type ThinLayer =
  /** All layers of the recipe, flattened into one tree. */
  | { readonly kind: 'merged'; readonly tree: number }
  /** One entry for each layer of the recipe, TOP FIRST: the order of overlayfs's lowerdir. */
  | { readonly kind: 'layers'; readonly layers: readonly LowerDirectory[] }

/** The place where a recipe was found. */
export interface ThinLayerPlace {
  /** The upper directory that holds `thin.json` and perhaps `thin-index.zst`. Absolute path. */
  readonly fsDir: string
  /**
   * Whether the snapshot has a parent. If so, the layer's whiteouts must hide names of the parent.
   * A merged tree keeps no whiteouts, so the trees of the single layers are used then.
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
  /** Whether trees and links that no given layer uses are kept. Default false. */
  readonly keepsOthers?: boolean
}

/**
 * Serves the trees of thin layers. Uses are counted: `register` and `restore` add one per snapshot,
 * `release` subtracts one.
 */
export interface ThinLayers {
  /**
   * Called once when a store opens, before any other method, with the thin layer of every snapshot.
   * Equal layers occur once per snapshot. Trees that are not in `layers` may be removed. Must not
   * need the network. A layer that cannot be served must make `lowerdirs` fail, not this call.
   */
  restore(layers: readonly ThinLayer[], options?: RestoreOptions): Promise<void>
  /**
   * Makes the trees of a recipe available. Called by Commit. Registering the same recipe again
   * gives an equal layer. Throws a `SnapshotterError` that names store and digest: `unavailable`
   * (the store cannot be reached), `invalid-content` (the store sent other bytes than the recipe
   * names), `failed-precondition` (a directory of the host is missing), `cancelled` (by `signal`).
   */
  register(recipe: Recipe, place: ThinLayerPlace, signal: AbortSignal): Promise<ThinLayer>
  /**
   * Absolute paths for overlayfs's lowerdir, top first; none for a recipe without layers. The paths
   * hold no colon, comma or backslash. They are short and below the store's root, so that 128 of
   * them fit in one page of mount options. Throws as `register` does when the layer cannot be
   * served.
   */
  lowerdirs(layer: ThinLayer, signal: AbortSignal): Promise<readonly string[]>
  /** Called when a snapshot with this layer was removed. */
  release(layer: ThinLayer): Promise<void>
  /**
   * The content of the layer that is on the local disk now. Shared content counts for each layer.
   */
  usage(layer: ThinLayer): Promise<Usage>
}

/**
 * Parses the JSON of a `ThinLayer`. `undefined` for other JSON; throws `SyntaxError` for no JSON.
 */
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
