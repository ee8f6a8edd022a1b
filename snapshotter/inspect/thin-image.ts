/** A thin image that is looked into: its recipe, and its indexes as they are needed. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { BlobSource } from '../../fusefs/index.js'
import {
  type Digest,
  hexOf,
  Index,
  type IndexRef,
  type Recipe,
  RECIPE_FILE_NAME,
  recipeFromBytes,
} from '../../index-format/index.js'
import { IndexCache } from '../indexes/index-cache.js'
import { SnapshotterError } from '../errors.js'
import type { ImageSource } from '../images/index.js'
import type { ImageAccess } from './image-access.js'
import type { PlatformImage } from './platform-images.js'
import { readThinLayer, type ThinLayerFiles } from './thin-layer.js'

type StoreUrls = readonly string[]

export interface ThinImageOptions {
  /** Stores to ask instead of those that the recipe names. */
  readonly stores?: StoreUrls | undefined
}

/** A thin layer; unpacked in a folder it has no diff ID any more. */
type RecipeFiles = Omit<ThinLayerFiles, 'diffId'> & { readonly diffId?: Digest }

/** Where an index is taken from. */
export type IndexOrigin = 'embedded' | 'store'

export class ThinImage {
  readonly name: string
  readonly recipe: Recipe
  /** Of the layer that holds the recipe; undefined for one that lies unpacked in a folder. */
  readonly diffId: Digest | undefined
  /** Those that `store` stands for. */
  readonly storeUrls: StoreUrls
  /** Where packs and indexes are. */
  readonly store: BlobSource
  /** The path on the local disk of each file beside the recipe, by its name. Not verified. */
  readonly files: ReadonlyMap<string, string>
  readonly #caches: Readonly<Record<IndexOrigin, IndexCache>>
  readonly #open: Index[] = []

  private constructor(
    options: RecipeFiles & { name: string; folder: string; storeUrls: StoreUrls },
    modules: { store: BlobSource },
  ) {
    const { files, folder, name, recipe, storeUrls } = options
    this.name = name
    this.recipe = recipe
    this.diffId = options.diffId
    this.storeUrls = storeUrls
    this.store = modules.store
    this.files = files
    const cacheIn = (origin: IndexOrigin): IndexCache =>
      new IndexCache((digest) => join(folder, origin, hexOf(digest)))
    this.#caches = { embedded: cacheIn('embedded'), store: cacheIn('store') }
  }

  /** Reads the recipe of one platform's image. `access` must stay open as long as this is used. */
  static async open(
    options: ThinImageOptions & { source: ImageSource; image: PlatformImage },
    modules: { access: ImageAccess },
    signal: AbortSignal,
  ): Promise<ThinImage> {
    const { source, image, stores } = options
    const folder = join(modules.access.tempFolder, hexOf(image.descriptor.digest))
    const layer = await readThinLayer(source, image.manifest, join(folder, 'layer'), signal)
    return ThinImage.#create({ ...layer, name: source.name, folder, stores }, modules)
  }

  /** The same for a thin layer that was unpacked into the folder `path`, as containerd does it. */
  static async openFolder(
    options: ThinImageOptions & { path: string },
    modules: { access: ImageAccess },
  ): Promise<ThinImage> {
    const { path, stores } = options
    const files = new Map<string, string>()
    for (const name of await readdir(path)) files.set(name, join(path, name))
    const recipe = recipeFromBytes(await readFile(join(path, RECIPE_FILE_NAME)))
    const folder = join(modules.access.tempFolder, 'folder')
    return ThinImage.#create({ recipe, files, name: path, folder, stores }, modules)
  }

  static #create(
    options: RecipeFiles & { name: string; folder: string; stores: StoreUrls | undefined },
    modules: { access: ImageAccess },
  ): ThinImage {
    const { name, recipe } = options
    if (recipe.thin === undefined) {
      throw new SnapshotterError(
        'invalid-argument',
        `${name} names directories of the host (${recipe.layers.length} layers), not trees of a ` +
          'store: there is nothing to look into here',
      )
    }
    const storeUrls = options.stores ?? recipe.thin.stores
    return new ThinImage({ ...options, storeUrls }, { store: modules.access.stores(storeUrls) })
  }

  /** Where `ref` can be had: what travels in the image is asked first. */
  originsOf(ref: IndexRef): IndexOrigin[] {
    return ref.embedded === undefined ? ['store'] : ['embedded', 'store']
  }

  /**
   * The index that `ref` names, verified. Closed with this. Throws `invalid-content` where the bytes
   * are not what the recipe says, `unavailable` where they cannot be had, and what `Index.open` throws.
   */
  async index(ref: IndexRef, origin: IndexOrigin, signal: AbortSignal): Promise<Index> {
    const embeddedPath = origin === 'embedded' ? this.#embeddedPath(ref) : undefined
    const origins = { embeddedPath, source: this.store }
    const index = Index.open(await this.#caches[origin].ensure(ref, origins, signal))
    this.#open.push(index)
    return index
  }

  /** Closes the indexes. Idempotent. */
  close(): void {
    for (const index of this.#open.splice(0)) index.close()
  }

  #embeddedPath(ref: IndexRef): string {
    const path = this.files.get(ref.embedded ?? '')
    if (path !== undefined) return path
    throw new SnapshotterError(
      'invalid-content',
      `${this.name}: the recipe says that index ${ref.digest} is in the layer's file ` +
        `"${ref.embedded ?? ''}", which is not there`,
    )
  }
}
