/**
 * Publishes a thin image again, with startup packs. It needs the thin image and the store that its
 * recipe names, but not the original. Platforms without a profile are carried over unchanged.
 */
import { availableParallelism } from 'node:os'
import {
  type Digest,
  digestOf,
  type IndexRef,
  type Profile,
  profilesByCommand,
  type Recipe,
  ThreadCompressor,
  type ThinSection,
} from '../../../index-format/index.js'
import { BlobPublisher } from '../convert/blob-publisher.js'
import type { PublishStore } from '../convert/publish-store.js'
import type { ConvertProgress } from '../convert/progress.js'
import { fetchIndex } from '../convert/index-blob.js'
import { packsOf } from '../convert/layer-converter.js'
import { PublishDatabase } from '../convert/publish-database.js'
import { StageClock } from '../convert/stage-clock.js'
import { addStartup, type StartupIndex } from '../convert/startup-packer.js'
import type { StartupModules } from '../convert/stored-frames.js'
import { openContentStore } from '../convert/store-location.js'
import { thinIndex, thinLayer, thinManifest } from '../convert/thin-documents.js'
import { contentDescriptors, embeddedIndex, recipeWith } from '../convert/thin-publisher.js'
import { Workspace } from '../convert/workspace.js'
import { SnapshotterError } from '../../errors.js'
import {
  type ImageDestination,
  type ImageSource,
  type NewManifest,
  openImageDestination,
  openImageSource,
} from '../../images/index.js'
import { oneImage, type PlatformImage, readPlatformImages } from '../../inspect/platform-images.js'
import { readThinLayer } from '../../inspect/thin-layer.js'
import { publishedProfiles } from '../../profiles/published-profiles.js'
import {
  boundedContent,
  type Descriptor,
  MAX_MANIFEST_BYTES,
  OCI_INDEX,
  OCI_MANIFEST,
  type Platform,
  type RegistryConnection,
} from '../../images/registry/index.js'

export interface OptimizeOptions {
  /** The thin image; see `openImageSource`. */
  readonly image: string
  /** See `openImageDestination`. */
  readonly destination: string
  /**
   * At least one. A profile applies to the platforms whose merged index it names. If there is none,
   * it applies to the platform of this machine. A profile replaces the image's profile of the same
   * command.
   */
  readonly profiles: readonly Profile[]
  /** Whether the profiles that the image has are left out. Default false. */
  readonly replace?: boolean
  /** The publisher's database. */
  readonly database: string
  readonly tempFolder: string
}

export interface OptimizeModules {
  readonly progress: ConvertProgress
  /** The caller closes it. */
  readonly connection: RegistryConnection
}

/** A platform that got startup packs. */
export interface OptimizedPlatform {
  readonly platform: Platform
  readonly merged: IndexRef
  /** Number of startup packs and their size. */
  readonly startup: { readonly packs: number; readonly sizeBytes: number }
  /** The commands of each of its profiles. */
  readonly starts: readonly (readonly string[])[]
}

export interface OptimizeResult {
  readonly destination: string
  /** Digest of the index or manifest that the destination's name stands for. */
  readonly digest: Digest
  readonly store: string
  readonly platforms: readonly OptimizedPlatform[]
  /** Platforms that were carried over. */
  readonly carriedOver: number
}

/** A larger blob cannot be part of a thin image of ours; see `MAX_EMBEDDED_BYTES`. */
const MAX_THIN_BLOB_BYTES = 256 * 1024 * 1024

/**
 * The digest of the merged index in a thin image, for this machine's platform. Throws
 * `invalid-argument` if the image has none.
 */
export async function mergedIndexOf(
  image: string,
  options: { tempFolder: string },
  modules: { connection: RegistryConnection },
  signal: AbortSignal,
): Promise<Digest> {
  const workspace = await Workspace.create(options.tempFolder)
  const source = await openImageSource(image, options, modules, signal)
  try {
    const { images } = await readPlatformImages(source, undefined, signal)
    const image = oneImage(images, source.name)
    const { recipe } = await readRecipe(source, image, workspace, signal)
    return recipe.merged.digest
  } finally {
    await source.close()
    await workspace.close()
  }
}

/**
 * Publishes the image again with startup packs. Throws `invalid-argument` if the image is not thin,
 * or if its profiles name no stored content. Closes all that it opens; `connection` stays open.
 */
export async function optimizeImage(
  options: OptimizeOptions,
  modules: OptimizeModules,
  signal: AbortSignal,
): Promise<OptimizeResult> {
  const closers: (() => Promise<void> | void)[] = []
  const opened = <Thing extends { close(): Promise<void> | void }>(thing: Thing): Thing => {
    closers.push(() => thing.close())
    return thing
  }
  try {
    const { connection, progress } = modules
    const { tempFolder } = options
    const source = opened(await openImageSource(options.image, { tempFolder }, modules, signal))
    const { images, index } = await readPlatformImages(source, undefined, signal)
    const workspace = opened(await Workspace.create(tempFolder))
    const platforms = await readPlatforms(source, images, workspace, signal)
    assignProfiles(platforms, options, source.name)
    const defaultImageName = source.imageName
    const target = await openImageDestination(options.destination, { defaultImageName }, modules)
    const destination: ImageDestination = opened(target.destination)
    // Keep content in one store. A node that has to ask two stores is slower and fails twice as
    // often.
    const url = platforms.find(({ profiles }) => profiles.length > 0)?.recipe.thin.stores[0]
    const store = opened(await openContentStore({ store: url, storeUrl: url }, target, modules))
    const database = opened(PublishDatabase.open(options.database))
    const compressor = opened(ThreadCompressor.start(Math.min(4, availableParallelism())))
    const publisher = new BlobPublisher({ store, database, signal })
    const clock = new StageClock()
    const parts = { source, destination, store, workspace, signal }
    const startupModules = {
      ...{ store, database, publisher, compressor, workspace, clock, progress, signal },
      connection,
    }
    const done = await optimizePlatforms(platforms, parts, startupModules)
    const root = rootOf(done, index?.annotations, index !== undefined)
    const optimized = done.flatMap(({ result }) => result ?? [])
    return {
      destination: destination.name,
      digest: await destination.publish(root, signal),
      store: store.url,
      platforms: optimized,
      carriedOver: done.length - optimized.length,
    }
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

/** One platform of the thin image, and the profiles for its startup packs. */
interface PlatformStart {
  readonly image: PlatformImage
  readonly recipe: ThinRecipe
  /** Profiles that the image has already. */
  readonly published: readonly Profile[]
  /** Profiles for the new startup packs. Empty: the platform is carried over. */
  profiles: readonly Profile[]
}

async function readPlatforms(
  source: ImageSource,
  images: readonly PlatformImage[],
  workspace: Workspace,
  signal: AbortSignal,
): Promise<PlatformStart[]> {
  const platforms: PlatformStart[] = []
  for (const image of images) {
    const { recipe, files } = await readRecipe(source, image, workspace, signal)
    const published = publishedProfiles(recipe.thin, files)
    platforms.push({ image, recipe, published, profiles: [] })
  }
  return platforms
}

function assignProfiles(
  platforms: readonly PlatformStart[],
  { profiles, replace = false }: OptimizeOptions,
  name: string,
): void {
  const given = new Map<PlatformStart, Profile[]>()
  for (const profile of profiles) {
    const named = platforms.filter(({ recipe }) => recipe.merged.digest === profile.index)
    const takers = named.length > 0 ? named : [platformOfThisMachine(platforms, name)]
    for (const platform of takers) given.set(platform, [...(given.get(platform) ?? []), profile])
  }
  for (const [platform, mine] of given) {
    const before = replace ? [] : platform.published
    platform.profiles = profilesByCommand([...before, ...mine])
  }
}

function platformOfThisMachine(platforms: readonly PlatformStart[], name: string): PlatformStart {
  const images = platforms.map(({ image }) => image)
  const here = platforms.find(({ image }) => image === oneImage(images, name))
  if (here !== undefined) return here
  throw new SnapshotterError('internal', `${name}: a platform is lost`)
}

interface DonePlatform {
  readonly descriptor: Descriptor
  readonly manifest: NewManifest
  /** Absent if the platform was carried over. */
  readonly result?: OptimizedPlatform
}

async function optimizePlatforms(
  platforms: readonly PlatformStart[],
  parts: Parts,
  modules: StartupModules,
): Promise<DonePlatform[]> {
  const done: DonePlatform[] = []
  for (const { image, recipe, profiles } of platforms) {
    const [first, ...others] = profiles
    if (first === undefined) {
      done.push({ descriptor: image.descriptor, manifest: await carryOver(image, parts) })
      continue
    }
    const merged = { index: recipe.merged, packs: [], reused: true }
    const startup = await addStartup(merged, [first, ...others], modules)
    if (startup === undefined) {
      throw new SnapshotterError('invalid-argument', 'the profile names nothing that is stored')
    }
    const published = await publishOptimized(image, { ...recipe, startup }, parts)
    const { packs } = startup.startup
    const result = {
      platform: image.platform,
      merged: startup.index,
      startup: {
        packs: packs.length,
        sizeBytes: packs.reduce((sum, pack) => sum + pack.sizeBytes, 0),
      },
      starts: profiles.map(({ commands }) => commands),
    }
    done.push({ ...published, result })
  }
  return done
}

function rootOf(
  done: readonly DonePlatform[],
  annotations: Readonly<Record<string, string>> | undefined,
  isIndex: boolean,
): NewManifest {
  const descriptors = done.map(({ descriptor }) => descriptor)
  if (isIndex) return { mediaType: OCI_INDEX, bytes: thinIndex(descriptors, annotations) }
  const [only] = done
  if (only === undefined) throw new SnapshotterError('internal', 'optimize: no image was made')
  return only.manifest
}

interface Parts {
  readonly source: ImageSource
  readonly destination: ImageDestination
  readonly store: PublishStore
  readonly workspace: Workspace
  readonly signal: AbortSignal
}

interface ThinRecipe {
  readonly recipe: Recipe
  readonly thin: ThinSection
  readonly merged: IndexRef
}

async function readRecipe(
  source: ImageSource,
  image: PlatformImage,
  workspace: Workspace,
  signal: AbortSignal,
): Promise<{ recipe: ThinRecipe; files: ReadonlyMap<string, string> }> {
  const folder = workspace.file('layer')
  const { recipe, files } = await readThinLayer(source, image.manifest, folder, signal)
  const { thin } = recipe
  if (thin?.merged !== undefined) return { recipe: { recipe, thin, merged: thin.merged }, files }
  throw new SnapshotterError(
    'invalid-argument',
    `${source.name}: its recipe has no merged tree; make a thin image with thinctl convert`,
  )
}

async function publishOptimized(
  image: PlatformImage,
  { recipe, thin, startup }: { recipe: Recipe; thin: ThinSection; startup: StartupIndex },
  { destination, store, workspace, signal }: Parts,
): Promise<{ manifest: NewManifest; descriptor: Descriptor }> {
  const indexes = thin.layers.flatMap((ref) => ref ?? [])
  const layers: { index: IndexRef; packs: ReturnType<typeof packsOf> }[] = []
  for (const index of indexes) {
    const path = workspace.file('index')
    await fetchIndex(index, path, store, signal)
    layers.push({ index, packs: packsOf(path) })
  }
  const embedded = await embeddedIndex(startup, store, signal)
  const { layers: layerRefs, stores } = thin
  const changed = recipeWith(
    { ...recipe, thin: { version: 1, stores, layers: layerRefs } },
    { merged: startup, isEmbedded: embedded !== undefined },
  )
  const { plan: startupPlan, pages: startupPages } = startup.startup
  const layer = thinLayer(changed, { index: embedded, startupPlan, startupPages })
  const rootfs = { type: 'layers', diff_ids: [layer.diffId] }
  const config = Buffer.from(JSON.stringify({ ...image.config.raw, rootfs }))
  const bytes = thinManifest(image.manifest, layer, config)
  const descriptor = {
    ...image.descriptor,
    mediaType: OCI_MANIFEST,
    digest: digestOf(bytes),
    sizeBytes: bytes.length,
    platform: image.platform,
  }
  signal.throwIfAborted()
  await store.keep(descriptor, contentDescriptors(layers, startup), signal)
  await destination.putBlob(layer.bytes, signal)
  await destination.putBlob(config, signal)
  const manifest = { mediaType: OCI_MANIFEST, bytes, platform: image.platform }
  await destination.putManifest(manifest, signal)
  return { manifest, descriptor }
}

/** Copies manifest, configuration and thin layer. Packs and indexes stay in the store. */
async function carryOver(image: PlatformImage, parts: Parts): Promise<NewManifest> {
  const { source, destination, signal } = parts
  const { manifest, descriptor, platform } = image
  for (const blob of [manifest.config, ...manifest.layers]) {
    if (blob.sizeBytes > MAX_THIN_BLOB_BYTES) {
      const message = `${source.name}: blob ${blob.digest} has ${blob.sizeBytes} bytes: not thin`
      throw new SnapshotterError('invalid-argument', message)
    }
    const what = `blob ${blob.digest} of ${source.name}`
    const bytes = await boundedContent(source.blob(blob, signal), blob.sizeBytes, what)
    await destination.putBlob(bytes, signal)
  }
  const bytes = await source.document(descriptor, MAX_MANIFEST_BYTES, signal)
  const copy = { mediaType: descriptor.mediaType, bytes, platform }
  await destination.putManifest(copy, signal)
  return copy
}
