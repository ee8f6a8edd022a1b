/**
 * Builds the thin image's own documents: its one layer, its configuration, its manifest. Equal
 * input gives equal bytes. Parts of the original that do not concern layers are kept unchanged.
 */
import { gzipSync } from 'node:zlib'
import {
  type Digest,
  EMBEDDED_INDEX_FILE_NAME,
  GUESS_FILE_NAME,
  RECIPE_FILE_NAME,
  type Recipe,
  STARTUP_PAGES_FILE_NAME,
  STARTUP_PLAN_FILE_NAME,
  bytesFromRecipe,
  digestOf,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { ustarArchive } from '../../images/index.js'
import {
  type Descriptor,
  type ImageManifest,
  JsonObject,
  MAX_LAYERS,
  MAX_MANIFEST_BYTES,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
  descriptorToJson,
} from '../../images/registry/index.js'

/** Annotation of a thin image's layer: the version of its recipe. */
const RECIPE_ANNOTATION = 'thin-snapshotter.recipe.version'
/** `history` has one or two entries for each layer. Far more entries are an attack. */
const MAX_HISTORY = 10_000

export interface ThinLayer {
  /** The gzip-compressed tar. */
  readonly bytes: Uint8Array
  readonly digest: Digest
  /** Digest of the uncompressed tar. */
  readonly diffId: Digest
}

/** Files beside the recipe in the thin layer. */
export interface EmbeddedFiles {
  /** The compressed merged index. */
  readonly index?: Uint8Array | undefined
  readonly startupPlan?: Uint8Array | undefined
  readonly startupPages?: Uint8Array | undefined
  /** A guessed profile. */
  readonly guess?: Uint8Array | undefined
}

export function thinLayer(recipe: Recipe, embedded: EmbeddedFiles): ThinLayer {
  const files = [{ name: RECIPE_FILE_NAME, bytes: bytesFromRecipe(recipe) }]
  const { index, startupPlan, startupPages, guess } = embedded
  if (index !== undefined) files.push({ name: EMBEDDED_INDEX_FILE_NAME, bytes: index })
  if (startupPlan !== undefined) files.push({ name: STARTUP_PLAN_FILE_NAME, bytes: startupPlan })
  if (startupPages !== undefined) {
    files.push({ name: STARTUP_PAGES_FILE_NAME, bytes: startupPages })
  }
  if (guess !== undefined) files.push({ name: GUESS_FILE_NAME, bytes: guess })
  const tar = ustarArchive(files)
  const bytes = gzipSync(tar, { level: 6 })
  return { bytes, digest: digestOf(bytes), diffId: digestOf(tar) }
}

/**
 * The original's configuration with the thin layer instead of the original's layers. `where` names
 * the original's configuration in errors.
 */
export function thinConfig(original: Uint8Array, layer: ThinLayer, where: string): Uint8Array {
  const config = JsonObject.parse(original, where)
  const history = config.objects('history', MAX_HISTORY).map((entry) => ({
    ...entry.raw,
    empty_layer: true,
  }))
  const created = config.optionalString('created')
  const added = {
    ...(created === undefined ? {} : { created }),
    created_by: 'thinctl convert',
    comment: 'thin image: the layers above are named by a recipe',
  }
  return Buffer.from(
    JSON.stringify({
      ...config.raw,
      rootfs: { type: 'layers', diff_ids: [layer.diffId] },
      history: [...history, added],
    }),
  )
}

/** The diff IDs of a configuration, bottom first. */
export function diffIdsOf(config: Uint8Array, where: string): string[] {
  return JsonObject.parse(config, where).object('rootfs').strings('diff_ids', MAX_LAYERS)
}

/** The original's manifest with the thin layer and configuration; always an OCI manifest. */
export function thinManifest(
  original: ImageManifest,
  layer: ThinLayer,
  config: Uint8Array,
): Uint8Array {
  const { annotations } = original
  const configDescriptor: Descriptor = {
    mediaType: OCI_CONFIG,
    digest: digestOf(config),
    sizeBytes: config.length,
  }
  const layerDescriptor: Descriptor = {
    mediaType: OCI_LAYER_GZIP,
    digest: layer.digest,
    sizeBytes: layer.bytes.length,
    annotations: { [RECIPE_ANNOTATION]: '1.0' },
  }
  return bounded({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: descriptorToJson(configDescriptor),
    layers: [descriptorToJson(layerDescriptor)],
    ...(annotations === undefined ? {} : { annotations }),
  })
}

/** An index of the thin manifests, with the annotations of the original's index. */
export function thinIndex(
  manifests: readonly Descriptor[],
  annotations: Readonly<Record<string, string>> | undefined,
): Uint8Array {
  return bounded({
    schemaVersion: 2,
    mediaType: OCI_INDEX,
    manifests: manifests.map(descriptorToJson),
    ...(annotations === undefined ? {} : { annotations }),
  })
}

/** Whether `manifest` is the manifest of a thin image. */
export function isThin(manifest: ImageManifest): boolean {
  return manifest.layers.some((layer) => layer.annotations?.[RECIPE_ANNOTATION] !== undefined)
}

function bounded(document: Record<string, unknown>): Uint8Array {
  const bytes = Buffer.from(JSON.stringify(document))
  if (bytes.length <= MAX_MANIFEST_BYTES) return bytes
  throw new SnapshotterError(
    'invalid-content',
    `the thin image's manifest has ${bytes.length} bytes, registries take ${MAX_MANIFEST_BYTES}`,
  )
}
