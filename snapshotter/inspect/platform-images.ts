/** The images behind one reference: one for each platform, with what their configuration says. */
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
  /** Of the manifest. */
  readonly descriptor: Descriptor
  readonly manifest: ImageManifest
  readonly config: JsonObject
}

/** Everything that one reference stands for. */
export interface PlatformImages {
  /** Absent where the reference stands for one manifest. */
  readonly index: ImageIndex | undefined
  /** In the order of the index; at least one. */
  readonly images: readonly PlatformImage[]
}

/**
 * Reads the manifests and configurations of `source`: all platforms, or those that match `wanted`.
 * What an index lists beside images (signatures, build attestations) is left out. Throws
 * `not-found` when nothing is left, and what the source throws.
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
 * The one image to look at: for this machine where there are several. Throws `invalid-argument`
 * when a choice has to be made.
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

/** BuildKit lists its attestations for the platform unknown/unknown. */
function isImage(descriptor: Descriptor): boolean {
  return descriptor.artifactType === undefined && descriptor.platform?.os !== 'unknown'
}
