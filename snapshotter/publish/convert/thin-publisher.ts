/** Publishes one platform: the recipe, the manifest that keeps the content, the thin image. */
import {
  type Digest,
  EMBEDDED_INDEX_FILE_NAME,
  GUESS_FILE_NAME,
  type IndexRef,
  type LayerFileRef,
  type Recipe,
  STARTUP_PAGES_FILE_NAME,
  STARTUP_PLAN_FILE_NAME,
  type StartupRef,
  bytesFromRecipe,
  digestOf,
  recipeFromBytes,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { ImageDestination, ImageSource, NewManifest } from '../../images/index.js'
import {
  type Descriptor,
  OCI_MANIFEST,
  THIN_INDEX,
  THIN_PACK,
  boundedContent,
} from '../../images/registry/index.js'
import type { PublishStore } from './publish-store.js'
import type { PlatformResult } from './convert-result.js'
import type { MergedIndex, PublishedStartup } from './merged-index.js'
import type { ConvertedLayer } from './layer-converter.js'
import type { KnownIndex } from './publish-database.js'
import type { SourceImage } from './source-images.js'
import { thinConfig, thinLayer, thinManifest } from './thin-documents.js'

/**
 * A larger merged index does not travel in the thin layer, because the pull would no longer be
 * instant.
 */
const MAX_EMBEDDED_BYTES = 32 * 1024 * 1024

export interface ThinPublisherModules {
  readonly source: ImageSource
  readonly destination: ImageDestination
  readonly store: PublishStore
  readonly signal: AbortSignal
}

export interface PublishedPlatform {
  readonly manifest: NewManifest
  /** The thin image's descriptor for an index. */
  readonly descriptor: Descriptor
  readonly result: PlatformResult
}

/**
 * Publishes one platform whose packs and indexes are in the store. `store.keep` comes first, so
 * that the thin image never names content that a garbage collection may remove.
 */
export async function publishPlatform(
  image: SourceImage,
  layers: readonly ConvertedLayer[],
  merged: MergedIndex,
  modules: ThinPublisherModules,
): Promise<PublishedPlatform> {
  const { source, destination, store, signal } = modules
  const embedded = await embeddedIndex(merged, store, signal)
  const recipe = recipeOf(layers, merged, { source, store, embedded: embedded !== undefined })
  const layer = thinLayer(recipe, {
    index: embedded,
    startupPlan: merged.startup?.plan,
    startupPages: merged.startup?.pages,
    guess: merged.guess?.bytes,
  })
  const config = thinConfig(image.config, layer, `configuration of ${source.name}`)
  const bytes = thinManifest(image.manifest, layer, config)
  const digest = digestOf(bytes)
  const descriptor = thinDescriptor(image, digest, bytes.length)
  const content = contentDescriptors(layers, merged)
  const kept = await store.keep(descriptor, content, signal)
  await destination.putBlob(layer.bytes, signal)
  await destination.putBlob(config, signal)
  const manifest: NewManifest = { mediaType: OCI_MANIFEST, bytes, platform: image.platform }
  await destination.putManifest(manifest, signal)
  const result: PlatformResult = {
    platform: image.platform,
    digest,
    ...(kept === undefined ? {} : { content: kept }),
    layers: layers.map(({ task, index, rawBytes, reused }) => ({
      digest: task.blob.digest,
      diffId: task.diffId,
      sizeBytes: task.blob.sizeBytes,
      rawBytes,
      index,
      reused,
    })),
    merged: merged.index,
    ...(merged.startup === undefined
      ? {}
      : { startup: { packs: merged.startup.packs.length, sizeBytes: sum(merged.startup.packs) } }),
    ...(merged.guess === undefined ? {} : { guess: { rawBytes: merged.guess.rawBytes } }),
    originalBytes: sum(image.manifest.layers),
    contentBytes: sum(content),
    packs: content.filter((one) => one.mediaType === THIN_PACK).length,
    thinBytes: bytes.length + config.length + layer.bytes.length,
  }
  return { manifest, descriptor, result }
}

/**
 * The index's blob for the thin layer. `undefined` if startup pages travel instead, or if the blob
 * is larger than MAX_EMBEDDED_BYTES.
 */
export async function embeddedIndex(
  { index, startup }: Pick<MergedIndex, 'startup'> & { readonly index: KnownIndex },
  store: PublishStore,
  signal: AbortSignal,
): Promise<Uint8Array | undefined> {
  const { blob, digest } = index
  if (startup?.pages !== undefined) return undefined
  if (blob.sizeBytes > MAX_EMBEDDED_BYTES) return undefined
  return boundedContent(
    store.read(blob, signal),
    blob.sizeBytes,
    `index ${digest} of ${store.name}`,
  )
}

function recipeOf(
  layers: readonly ConvertedLayer[],
  merged: MergedIndex,
  about: { source: ImageSource; store: PublishStore; embedded: boolean },
): Recipe {
  const recipe: Recipe = {
    version: '1.0',
    origin: about.source.origin,
    layers: layers.map(({ task, index }) => ({
      digest: task.blob.digest,
      url: { kind: 'thin', index: index.digest },
    })),
    thin: {
      version: 1,
      stores: [about.store.url],
      layers: layers.map(({ index }) => index),
    },
  }
  return recipeWith(recipe, { merged, isEmbedded: about.embedded })
}

/**
 * `recipe` with this merged tree and its start. Throws `internal` if the recipe has no thin
 * section.
 */
export function recipeWith(
  recipe: Recipe,
  { merged, isEmbedded }: { merged: MergedIndex; isEmbedded: boolean },
): Recipe {
  const { thin } = recipe
  if (thin === undefined) throw new SnapshotterError('internal', 'a recipe without thin section')
  const { version, stores, layers } = thin
  const embedded = isEmbedded ? { embedded: EMBEDDED_INDEX_FILE_NAME } : {}
  const mergedRef: IndexRef = { ...merged.index, ...embedded }
  const start = {
    ...(merged.startup !== undefined && { startup: startupRef(merged.startup) }),
    ...(merged.guess !== undefined && { guess: fileRef(GUESS_FILE_NAME, merged.guess.bytes) }),
  }
  const changed = { ...recipe, thin: { version, stores, merged: mergedRef, layers, ...start } }
  // Parse the result: a recipe that a node would refuse must not be published.
  recipeFromBytes(bytesFromRecipe(changed))
  return changed
}

function startupRef({ plan, packs, pages }: PublishedStartup): StartupRef {
  return {
    plan: fileRef(STARTUP_PLAN_FILE_NAME, plan),
    packs,
    ...(pages !== undefined && { pages: fileRef(STARTUP_PAGES_FILE_NAME, pages) }),
  }
}

function fileRef(file: string, bytes: Uint8Array): LayerFileRef {
  return { file, digest: digestOf(bytes), sizeBytes: bytes.length }
}

/** Every pack and index of the thin image, once: packs in order of first use, then indexes. */
export function contentDescriptors(
  layers: readonly Pick<ConvertedLayer, 'index' | 'packs'>[],
  merged: MergedIndex,
): Descriptor[] {
  const found = new Map<Digest, Descriptor>()
  const add = (
    mediaType: string,
    { digest, sizeBytes }: { digest: Digest; sizeBytes: number },
  ): void => {
    if (!found.has(digest)) found.set(digest, { mediaType, digest, sizeBytes })
  }
  for (const layer of layers) for (const pack of layer.packs) add(THIN_PACK, pack)
  for (const pack of merged.packs) add(THIN_PACK, pack)
  for (const layer of layers) add(THIN_INDEX, layer.index.blob)
  add(THIN_INDEX, merged.index.blob)
  return [...found.values()]
}

function thinDescriptor(image: SourceImage, digest: Digest, sizeBytes: number): Descriptor {
  const { annotations, platform } = image.descriptor
  return {
    mediaType: OCI_MANIFEST,
    digest,
    sizeBytes,
    platform: platform ?? image.platform,
    ...(annotations === undefined ? {} : { annotations }),
  }
}

function sum(blobs: readonly { readonly sizeBytes: number }[]): number {
  return blobs.reduce((total, { sizeBytes }) => total + sizeBytes, 0)
}
