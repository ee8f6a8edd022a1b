/** Reads the images behind one reference: one for each platform, with its configuration. */
import { SnapshotterError } from '../errors.js'
import type { ImageSource } from '../images/index.js'
import {
  type Descriptor,
  formatPlatform,
  type ImageIndex,
  type ImageManifest,
  JsonObject,
  matchesPlatform,
  MAX_CONFIG_BYTES,
  MAX_MANIFEST_BYTES,
  parseManifest,
  type Platform,
  platformFromJson,
} from '../images/registry/index.js'

export interface PlatformImage {
  readonly platform: Platform
  /** Descriptor of the manifest. */
  readonly descriptor: Descriptor
  readonly manifest: ImageManifest
  readonly config: JsonObject
}

/** All images that one reference stands for. */
export interface PlatformImages {
  /** Undefined if the reference stands for one manifest. */
  readonly index: ImageIndex | undefined
  /** The images in the order of the index; at least one. */
  readonly images: readonly PlatformImage[]
}

/**
 * Reads the manifests and configurations of `source`: all platforms, or those that match `wanted`.
 * Entries of an index that are not images (signatures, build attestations) are left out. Throws
 * `not-found` if no image is left, and the errors of the source.
 */
export async function readPlatformImages(
  source: ImageSource,
  wanted: Platform | undefined,
  signal: AbortSignal,
): Promise<PlatformImages> {
  const { descriptor, bytes } = await source.root(signal)
  const root = parseManifest(bytes, descriptor.mediaType, source.name)
  const index = root.kind === 'index' ? root : undefined
  const manifests = root.kind === 'index' ? root.manifests.filter(isImage) : [descriptor]
  const images: PlatformImage[] = []
  for (const manifest of manifests) {
    const { platform } = manifest
    if (wanted !== undefined && platform !== undefined && !matchesPlatform(wanted, platform))
      continue
    const image =
      root.kind === 'manifest'
        ? await readImage(source, manifest, root, signal)
        : await readImage(source, manifest, await readManifest(source, manifest, signal), signal)
    if (wanted === undefined || matchesPlatform(wanted, image.platform)) images.push(image)
  }
  if (images.length > 0) return { index, images }
  const what = wanted === undefined ? 'any platform' : formatPlatform(wanted)
  const listed = manifests.map((found) => found.platform && formatPlatform(found.platform))
  throw new SnapshotterError(
    'not-found',
    `${source.name}: no image for ${what}; it has ${listed.join(', ') || 'none'}`,
  )
}

/**
 * Chooses one image: the only one, or the one for this machine. Throws `invalid-argument` if the
 * choice is not clear.
 */
export function oneImage(images: readonly PlatformImage[], name: string): PlatformImage {
  const here = { os: 'linux', architecture: process.arch === 'x64' ? 'amd64' : process.arch }
  const candidates =
    images.length > 1 ? images.filter((i) => matchesPlatform(here, i.platform)) : images
  const [first, second] = candidates
  if (first !== undefined && second === undefined) return first
  const names = images.map(({ platform }) => formatPlatform(platform)).join(', ')
  throw new SnapshotterError(
    'invalid-argument',
    `${name}: choose one of its platforms with --platform: ${names}`,
  )
}

async function readManifest(
  source: ImageSource,
  descriptor: Descriptor,
  signal: AbortSignal,
): Promise<ImageManifest> {
  const where = `${descriptor.digest} of ${source.name}`
  const bytes = await source.document(descriptor, MAX_MANIFEST_BYTES, signal)
  const manifest = parseManifest(bytes, descriptor.mediaType, where)
  if (manifest.kind === 'manifest') return manifest
  throw new SnapshotterError('invalid-content', `${where}: an index inside an index`)
}

async function readImage(
  source: ImageSource,
  descriptor: Descriptor,
  manifest: ImageManifest,
  signal: AbortSignal,
): Promise<PlatformImage> {
  const where = `configuration ${manifest.config.digest} of ${source.name}`
  const config = JsonObject.parse(
    await source.document(manifest.config, MAX_CONFIG_BYTES, signal),
    where,
  )
  return { platform: descriptor.platform ?? platformFromJson(config), descriptor, manifest, config }
}

/**
 * Whether a descriptor is an image. BuildKit lists attestations for the platform unknown/unknown.
 */
function isImage(descriptor: Descriptor): boolean {
  return descriptor.artifactType === undefined && descriptor.platform?.os !== 'unknown'
}
