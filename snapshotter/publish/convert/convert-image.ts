/**
 * Converts an ordinary image into a thin one. The content of its layers goes into the store, its
 * recipe into an image at the destination. The order of writes makes it safe to be killed at any
 * moment: packs, indexes, the manifest that keeps them, the thin image, its name.
 */
import { availableParallelism } from 'node:os'
import { type Digest, type Profile, ThreadCompressor } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import {
  type ImageDestination,
  type NewManifest,
  openImageDestination,
  openImageSource,
} from '../../images/index.js'
import {
  type ImageIndex,
  OCI_INDEX,
  type Platform,
  type RegistryConnection,
} from '../../images/registry/index.js'
import { BlobPublisher } from './blob-publisher.js'
import type { ConvertResult, PlatformResult } from './convert-result.js'
import { guessedStart } from './guessed-start.js'
import { convertLayers } from './image-layers.js'
import { mergeLayers } from './image-merger.js'
import { LayerConverter } from './layer-converter.js'
import type { MergedIndex } from './merged-index.js'
import type { ConvertProgress } from './progress.js'
import { peakRssBytes } from './peak-memory.js'
import { PublishDatabase } from './publish-database.js'
import { type SourceImage, readSourceImages } from './source-images.js'
import { StageClock } from './stage-clock.js'
import { addStartup } from './startup-packer.js'
import { openContentStore } from './store-location.js'
import type { StartupModules } from './stored-frames.js'
import { thinIndex } from './thin-documents.js'
import {
  type PublishedPlatform,
  type ThinPublisherModules,
  publishPlatform,
} from './thin-publisher.js'
import { Workspace } from './workspace.js'

/**
 * Default zstd level of frames: the lowest level that stores less than 85 % of the gzip layers'
 * size. FORMAT.md, "Why these sizes", has the figures of other levels. Level 3 takes half the time
 * of the compressing threads, but stores 4 % of the gzip layers' size more.
 */
export const DEFAULT_LEVEL = 6

/**
 * Default limit of compressing threads. One thread reads and hashes for all of them, so more
 * threads would only cost memory.
 */
const MAX_THREADS = 4

export interface ConvertOptions {
  /** See `openImageSource`. */
  readonly source: string
  /** See `openImageDestination`. */
  readonly destination: string
  /** Absent or empty: all platforms of the source. */
  readonly platforms?: readonly Platform[]
  /** Place for the content; see `openContentStore`. Default: the place of the image. */
  readonly store?: string
  /** URL from which nodes read the content. Default: the URL to which it is written. */
  readonly storeUrl?: string
  /** zstd level of frames, 1 to 19. Default 6. */
  readonly level?: number
  /** Path of the publisher's database. `:memory:` remembers nothing. */
  readonly database: string
  /** A folder with room for the uncompressed files of two layers. */
  readonly tempFolder: string
  /**
   * Whether content that was published before is used again. If false, it is packed again. Default
   * true.
   */
  readonly reuse?: boolean
  /**
   * Profiles of starts of the image. The image gets startup packs for them. With several platforms,
   * a profile applies to the platform whose merged index it names.
   */
  readonly profiles?: readonly Profile[]
  /** Whether a platform without a profile gets a guessed profile. Default true. */
  readonly guess?: boolean
  /** Compressing threads. Default: the number of processors, at most 4. */
  readonly threads?: number
}

export interface ConvertModules {
  readonly progress: ConvertProgress
  /** The caller closes it. */
  readonly connection: RegistryConnection
}

/**
 * Converts an image. If `signal` fires, soon throws `cancelled` and leaves nothing half-done; the
 * next run uses what is stored. Throws `invalid-argument` if a profile fits no platform, and the
 * errors of source, store and destination. Closes all that it opens.
 */
export async function convertImage(
  options: ConvertOptions,
  modules: ConvertModules,
  signal: AbortSignal,
): Promise<ConvertResult> {
  const started = performance.now()
  const { connection } = modules
  const closers: (() => Promise<void> | void)[] = []
  const opened = <Thing extends { close(): Promise<void> | void }>(thing: Thing): Thing => {
    closers.push(() => thing.close())
    return thing
  }
  try {
    const { tempFolder } = options
    const source = opened(await openImageSource(options.source, { tempFolder }, modules, signal))
    const defaultImageName = source.imageName && `${source.imageName}-thin`
    const target = await openImageDestination(options.destination, { defaultImageName }, modules)
    const destination: ImageDestination = opened(target.destination)
    const store = opened(
      await openContentStore({ store: options.store, storeUrl: options.storeUrl }, target, {
        connection,
      }),
    )
    const workspace = opened(await Workspace.create(tempFolder))
    const database = opened(PublishDatabase.open(options.database))
    const compressor = opened(
      ThreadCompressor.start(options.threads ?? Math.min(availableParallelism(), MAX_THREADS)),
    )
    const publisher = new BlobPublisher({ store, database, signal })
    const clock = new StageClock()
    const { progress } = modules
    const { digest, platforms } = await convertSource(options, {
      ...{ source, destination, store, database, publisher, compressor },
      ...{ workspace, clock, progress, signal, connection },
    })
    return {
      source: source.name,
      destination: destination.name,
      store: store.url,
      digest,
      platforms,
      published: { ...publisher.stats },
      stageMs: clock.stageMs(),
      elapsedMs: Math.round(performance.now() - started),
      peakRssBytes: peakRssBytes(),
    }
  } catch (cause) {
    if (!signal.aborted) throw cause
    const message = `convert ${options.source}: cancelled; what is stored is used by the next run`
    throw new SnapshotterError('cancelled', message, { cause })
  } finally {
    for (const close of closers.reverse()) await close()
  }
}

type ConversionModules = StartupModules & ThinPublisherModules

async function convertSource(
  options: ConvertOptions,
  modules: ConversionModules,
): Promise<{ digest: Digest; platforms: PlatformResult[] }> {
  const { source, destination, clock, signal } = modules
  const { images, index } = await clock.time('resolve', () =>
    readSourceImages(source, options.platforms ?? [], signal),
  )
  const thin: PublishedPlatform[] = []
  const used = new Set<Profile>()
  for (const image of images) {
    const profilesFor = (digest: Digest): Profile[] => {
      const { profiles = [] } = options
      const mine = profiles.filter(({ index }) => images.length === 1 || index === digest)
      for (const profile of mine) used.add(profile)
      return mine
    }
    thin.push(await convertPlatform(image, { ...options, profilesFor }, modules))
  }
  refuseUnused(options.profiles ?? [], used)
  const root = rootOf(thin, index)
  const digest = await clock.time('publish', () => destination.publish(root, signal))
  return { digest, platforms: thin.map((one) => one.result) }
}

async function convertPlatform(
  image: SourceImage,
  options: ConvertOptions & { profilesFor: (mergedIndex: Digest) => Profile[] },
  modules: ConversionModules,
): Promise<PublishedPlatform> {
  const { level = DEFAULT_LEVEL, reuse = true } = options
  const converter = new LayerConverter({ level, reuse }, modules)
  const opened = await convertLayers(image, { ...modules, converter })
  try {
    const layers = opened.map(({ layer }) => layer)
    const indexes = opened.map(({ index }) => index)
    const { clock } = modules
    const merged = await clock.time('merge', () => mergeLayers(layers, indexes, modules, { reuse }))
    const profiles = options.profilesFor(merged.index.digest)
    const started = await clock.time('startup', () =>
      withStart(merged, { profiles, config: image.config, guess: options.guess }, modules),
    )
    return await clock.time('publish', () => publishPlatform(image, layers, started, modules))
  } finally {
    for (const { index } of opened) index.close()
  }
}

async function withStart(
  merged: MergedIndex,
  known: { profiles: readonly Profile[]; config: Uint8Array; guess: boolean | undefined },
  modules: ConversionModules,
): Promise<MergedIndex> {
  const [first, ...others] = known.profiles
  if (first !== undefined) return (await addStartup(merged, [first, ...others], modules)) ?? merged
  if (known.guess === false) return merged
  const guess = await guessedStart(merged, known.config, modules)
  return guess === undefined ? merged : { ...merged, guess }
}

function refuseUnused(profiles: readonly Profile[], used: ReadonlySet<Profile>): void {
  const unused = profiles.find((profile) => !used.has(profile))
  if (unused === undefined) return
  throw new SnapshotterError(
    'invalid-argument',
    `the profile of index ${unused.index} fits none of the platforms; convert one platform at a ` +
      'time, or record it with the image as it is published now',
  )
}

/**
 * The document that the image's name will stand for: an index if the source had one, else the only
 * manifest.
 */
function rootOf(thin: readonly PublishedPlatform[], index: ImageIndex | undefined): NewManifest {
  if (index !== undefined) {
    const descriptors = thin.map((one) => one.descriptor)
    return { mediaType: OCI_INDEX, bytes: thinIndex(descriptors, index.annotations) }
  }
  const [only] = thin
  if (only === undefined) throw new SnapshotterError('internal', 'convert: no image was made')
  return only.manifest
}
