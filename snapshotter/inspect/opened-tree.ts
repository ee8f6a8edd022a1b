/**
 * Opens the tree that a person names: a tree of a thin image, or an index file on the disk with a
 * store beside it.
 */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobSource } from '../../fusefs/index.js'
import {
  type Digest,
  Index,
  type IndexRef,
  type Recipe,
  RECIPE_FILE_NAME,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { splitImageLocation } from '../images/index.js'
import { parsePlatform } from '../images/registry/index.js'
import { digestOfFile } from './file-digest.js'
import type { ImageAccess } from './image-access.js'
import { oneImage, readPlatformImages } from './platform-images.js'
import { beginsAsSqlite } from './sqlite-head.js'
import { ThinImage } from './thin-image.js'

export interface OpenTreeOptions {
  /** An image as `openImageSource` takes it, or the path of an index file. */
  readonly what: string
  /** URLs of stores that replace those of the recipe. */
  readonly stores?: readonly string[] | undefined
  readonly platform?: string | undefined
  /** Number of a layer, from 0 at the bottom. Default: the merged tree, or the only layer. */
  readonly layer?: number | undefined
}

export interface OpenedTree {
  readonly name: string
  readonly index: Index
  /** Digest of the index file. */
  readonly digest: Digest
  /** The source of the tree's packs; undefined for an index file without a store. */
  readonly store: BlobSource | undefined
  readonly storeUrls: readonly string[]
  /** Idempotent. */
  close(): void
}

/** Whether `text` is the path of a file that begins as an index file does. */
export async function isIndexFile(text: string): Promise<boolean> {
  const location = splitImageLocation(text)
  if (location.kind !== 'path') return false
  const found = await stat(location.path).catch(() => undefined)
  if (found?.isFile() !== true) return false
  return beginsAsSqlite(location.path)
}

/** The path in `text` if it is a folder that holds a recipe; else undefined. */
export async function recipeFolderOf(text: string): Promise<string | undefined> {
  const location = splitImageLocation(text)
  if (location.kind !== 'path') return undefined
  const found = await stat(join(location.path, RECIPE_FILE_NAME)).catch(() => undefined)
  return found?.isFile() === true ? location.path : undefined
}

/** Opens the tree that the options name. The caller closes it, and `access` after it. */
export async function openTree(
  options: OpenTreeOptions,
  modules: { access: ImageAccess },
  signal: AbortSignal,
): Promise<OpenedTree> {
  if (await isIndexFile(options.what)) return openIndexFile(options, modules.access, signal)
  const thin = await openThinImage(options, modules, signal)
  try {
    const ref = chosenRef(thin.recipe, options)
    const [origin = 'store'] = thin.originsOf(ref)
    const index = await thin.index(ref, origin, signal)
    const close = (): void => {
      thin.close()
    }
    const { name, store, storeUrls } = thin
    return { name, index, digest: ref.digest, store, storeUrls, close }
  } catch (error) {
    thin.close()
    throw error
  }
}

/**
 * Opens the thin image of one platform that the options name. The caller closes it, and `access`
 * after it.
 */
async function openThinImage(
  { platform, stores, what }: OpenTreeOptions,
  modules: { access: ImageAccess },
  signal: AbortSignal,
): Promise<ThinImage> {
  const folder = await recipeFolderOf(what)
  if (folder !== undefined) return ThinImage.openFolder({ path: folder, stores }, modules)
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const source = await modules.access.image(what, signal)
  const { images } = await readPlatformImages(source, wanted, signal)
  return ThinImage.open({ source, image: oneImage(images, source.name), stores }, modules, signal)
}

/**
 * Opens the thin images that the options name, one for each platform. Each is closed when the next
 * one is asked for.
 */
export async function* openThinImages(
  { platform, stores, what }: Omit<OpenTreeOptions, 'layer'>,
  modules: { access: ImageAccess },
  signal: AbortSignal,
): AsyncGenerator<ThinImage> {
  const folder = await recipeFolderOf(what)
  if (folder !== undefined) {
    yield* closing(await ThinImage.openFolder({ path: folder, stores }, modules))
    return
  }
  const wanted = platform === undefined ? undefined : parsePlatform(platform)
  const source = await modules.access.image(what, signal)
  const { images } = await readPlatformImages(source, wanted, signal)
  for (const image of images) {
    yield* closing(await ThinImage.open({ source, image, stores }, modules, signal))
  }
}

function* closing(thin: ThinImage): Generator<ThinImage> {
  try {
    yield thin
  } finally {
    thin.close()
  }
}

async function openIndexFile(
  { stores, what }: OpenTreeOptions,
  access: ImageAccess,
  signal: AbortSignal,
): Promise<OpenedTree> {
  const digest = await digestOfFile(what, signal)
  const store = stores === undefined ? undefined : access.stores(stores)
  const index = Index.open(what)
  const close = (): void => {
    index.close()
  }
  return { name: what, index, digest, store, storeUrls: stores ?? [], close }
}

/** The index that the options ask for. Throws `invalid-argument` if the recipe has no such tree. */
function chosenRef(recipe: Recipe, { layer, what }: OpenTreeOptions): IndexRef {
  const layers = recipe.thin?.layers ?? []
  if (layer === undefined) {
    const ref = recipe.thin?.merged ?? (layers.length === 1 ? layers[0] : undefined)
    if (ref !== undefined && ref !== null) return ref
    throw new SnapshotterError(
      'invalid-argument',
      `${what} has no merged tree; choose one of its ${layers.length} layers with --layer`,
    )
  }
  const ref = layers[layer]
  if (ref !== undefined && ref !== null) return ref
  const why = ref === null ? 'is a directory of the host' : `is not one of ${layers.length}`
  throw new SnapshotterError('invalid-argument', `${what}: layer ${layer} ${why}; the lowest is 0`)
}
