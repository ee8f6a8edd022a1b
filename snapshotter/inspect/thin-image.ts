/** Opens a thin image for inspection: its recipe, and its indexes when they are needed. */
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
  /** URLs of stores that replace those of the recipe. */
  readonly stores?: StoreUrls | undefined
}

/** The files of a thin layer. A layer that was unpacked into a folder has no diff ID. */
type RecipeFiles = Omit<ThinLayerFiles, 'diffId'> & { readonly diffId?: Digest }

/** The place from which an index is read. */
export type IndexOrigin = 'embedded' | 'store'

export class ThinImage {
  readonly name: string
  readonly recipe: Recipe
  /**
   * Diff ID of the layer that holds the recipe; undefined if the layer was unpacked into a folder.
   */
  readonly diffId: Digest | undefined
  /** URLs of the stores behind `store`. */
  readonly storeUrls: StoreUrls
  /** The source of packs and indexes. */
  readonly store: BlobSource
  /** Paths on the local disk of the files beside the recipe, by file name. Not verified. */
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

  /**
   * Reads the recipe of one platform's image. `access` must stay open as long as the result is
   * used. The caller closes the result.
   */
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

  /**
   * Like `open`, for a thin layer that was unpacked into the folder `path`, as containerd does it.
   */
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

  /**
   * The places of the index `ref`, first choice first. A copy in the image comes before the store.
   */
  originsOf(ref: IndexRef): IndexOrigin[] {
    return ref.embedded === undefined ? ['store'] : ['embedded', 'store']
  }

  /**
   * Opens the index that `ref` names, verified. `ThinImage.close` closes it. Throws
   * `invalid-content` if the bytes are not those that the recipe names, `unavailable` if they
   * cannot be fetched, and the errors of `Index.open`.
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
