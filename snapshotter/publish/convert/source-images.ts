/**
 * Reads the images of a source: one for each platform, with manifest, configuration and diff IDs.
 */
import { type Digest, digestFromString } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { ImageSource } from '../../images/index.js'
import {
  type Descriptor,
  type ImageIndex,
  type ImageManifest,
  JsonObject,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  type Platform,
  formatPlatform,
  isIndexType,
  matchesPlatform,
  parseManifest,
  platformFromJson,
} from '../../images/registry/index.js'
import { diffIdsOf, isThin } from './thin-documents.js'

export interface SourceImage {
  readonly platform: Platform
  /** The image's descriptor in the index, with its annotations and the digest of the original. */
  readonly descriptor: Descriptor
  readonly manifest: ImageManifest
  readonly config: Uint8Array
  /** Diff IDs of the layers, bottom first; as many as the manifest has layers. */
  readonly diffIds: readonly Digest[]
}

export interface SourceImages {
  readonly images: readonly SourceImage[]
  /** The index that names the images; `undefined` if the source is a single manifest. */
  readonly index: ImageIndex | undefined
}

/** An index has some tens of platforms at most. */
const MAX_PLATFORMS = 64
/** Levels of indexes that are followed. The index of an OCI layout may name another index. */
const MAX_NESTING = 3

/**
 * Reads the images for the `wanted` platforms, or all images if `wanted` is empty. Throws
 * `not-found` if a wanted platform or every image is missing, `failed-precondition` if an image is
 * thin already or has no layers, and `invalid-content` if the source's documents are wrong.
 */
export async function readSourceImages(
  source: ImageSource,
  wanted: readonly Platform[],
  signal: AbortSignal,
): Promise<SourceImages> {
  const root = await source.root(signal)
  const where = `manifest of ${source.name}`
  let document = parseManifest(root.bytes, root.descriptor.mediaType, where)
  let { descriptor } = root
  for (let depth = 0; document.kind === 'index' && depth < MAX_NESTING; depth++) {
    const [only, ...others] = document.manifests
    if (only === undefined || others.length > 0 || !isIndexType(only.mediaType)) break
    const bytes = await source.document(only, MAX_MANIFEST_BYTES, signal)
    document = parseManifest(bytes, only.mediaType, where)
    descriptor = only
  }
  if (document.kind === 'manifest') {
    const image = await readImage(source, descriptor, document, signal)
    checkWanted([image.platform], wanted, source)
    return { images: [image], index: undefined }
  }
  const chosen = document.manifests.filter((one) => isWanted(one, wanted))
  if (chosen.length > MAX_PLATFORMS) {
    throw new SnapshotterError(
      'invalid-content',
      `${where}: ${chosen.length} platforms, at most ${MAX_PLATFORMS} are converted`,
    )
  }
  const images: SourceImage[] = []
  for (const one of chosen) {
    const bytes = await source.document(one, MAX_MANIFEST_BYTES, signal)
    const manifest = parseManifest(bytes, one.mediaType, `manifest ${one.digest} of ${source.name}`)
    if (manifest.kind === 'manifest') images.push(await readImage(source, one, manifest, signal))
  }
  checkWanted(
    images.map((image) => image.platform),
    wanted,
    source,
  )
  if (images.length === 0) throw new SnapshotterError('not-found', `${where}: it holds no image`)
  return { images, index: document }
}

/**
 * Attestations have the platform unknown/unknown. They are left out, because they attest the
 * original and not the thin image.
 */
function isWanted(descriptor: Descriptor, wanted: readonly Platform[]): boolean {
  const { platform } = descriptor
  if (platform === undefined) return wanted.length === 0
  if (platform.os === 'unknown') return false
  return wanted.length === 0 || wanted.some((one) => matchesPlatform(one, platform))
}

function checkWanted(
  found: readonly Platform[],
  wanted: readonly Platform[],
  source: ImageSource,
): void {
  const missing = wanted.filter((one) => !found.some((other) => matchesPlatform(one, other)))
  if (missing.length === 0) return
  throw new SnapshotterError(
    'not-found',
    `${source.name}: no image for ${missing.map(formatPlatform).join(', ')}; ` +
      `it has ${found.map(formatPlatform).join(', ')}`,
  )
}

async function readImage(
  source: ImageSource,
  descriptor: Descriptor,
  manifest: ImageManifest,
  signal: AbortSignal,
): Promise<SourceImage> {
  const where = `image ${descriptor.digest} of ${source.name}`
  if (isThin(manifest)) {
    throw new SnapshotterError('failed-precondition', `${where}: it is a thin image already`)
  }
  const config = await source.document(manifest.config, MAX_CONFIG_BYTES, signal)
  const configWhere = `configuration of ${where}`
  const diffIds = diffIdsOf(config, configWhere).map((text) => digestFromString(text, configWhere))
  if (diffIds.length !== manifest.layers.length) {
    throw new SnapshotterError(
      'invalid-content',
      `${where}: ${manifest.layers.length} layers, but ${diffIds.length} diff IDs in its configuration`,
    )
  }
  if (diffIds.length === 0) {
    throw new SnapshotterError('failed-precondition', `${where}: it has no layers to convert`)
  }
  const platform = descriptor.platform ?? platformFromJson(JsonObject.parse(config, configWhere))
  return { platform, descriptor, manifest, config, diffIds }
}
