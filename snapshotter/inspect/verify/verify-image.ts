/**
 * Proves that a thin image equals its original: configuration and annotations, the recipe, every
 * index in each place that has it, each layer's tree and the merged tree, each byte of content.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Index, type IndexRef } from '../../../index-format/index.js'
import type { ImageSource } from '../../images/index.js'
import type { ImageAccess } from '../image-access.js'
import { type PlatformImage, readPlatformImages } from '../platform-images.js'
import { type IndexOrigin, ThinImage } from '../thin-image.js'
import { formatPlatform, type Platform } from '../../images/registry/index.js'
import { indexFailure } from './check-image.js'
import { compareAnnotations, compareConfigs } from './compare-config.js'
import { compareTrees, type CompareProgress } from './compare-trees.js'
import type { Difference } from './difference.js'
import type { TreePair } from './readable-tree.js'
import { StoredTree } from './stored-tree.js'
import { UnpackedImage } from './unpacked-image.js'

export interface VerifyOptions {
  readonly thin: ImageSource
  readonly original: ImageSource
  /** Default: all platforms of the original. */
  readonly platform?: Platform | undefined
  /**
   * Whether the layers' trees are compared. If false, only the merged tree is, if there is one.
   * Default true.
   */
  readonly layers?: boolean | undefined
  /** URLs of stores that replace those of the recipe. */
  readonly stores?: readonly string[] | undefined
  readonly onProgress?: ((progress: VerifyProgress) => void) | undefined
}

/** The progress of a verification. It is reported often. */
export type VerifyProgress =
  | { readonly stage: 'unpack'; readonly platform: string; readonly unpackedBytes: number }
  | ({
      readonly stage: 'compare'
      readonly platform: string
      readonly trees: number
    } & CompareProgress)

const NO_PATH = new Uint8Array(0)

/**
 * Yields every difference, and returns when everything has been compared. Throws if comparing is
 * impossible, because an image cannot be read or a store cannot be reached.
 */
export async function* verifyImage(
  options: VerifyOptions,
  modules: { access: ImageAccess },
  signal: AbortSignal,
): AsyncGenerator<Difference> {
  const original = await readPlatformImages(options.original, options.platform, signal)
  const thin = await readPlatformImages(options.thin, options.platform, signal)
  if (original.index !== undefined && thin.index !== undefined) {
    yield* compareAnnotations('index', original.index.annotations, thin.index.annotations)
  }
  const rest = new Map(thin.images.map((image) => [formatPlatform(image.platform), image]))
  for (const image of original.images) {
    const platform = formatPlatform(image.platform)
    const twin = rest.get(platform)
    rest.delete(platform)
    if (twin === undefined) {
      yield { kind: 'platform', path: NO_PATH, platform, expected: 'an image', actual: 'nothing' }
      continue
    }
    for await (const difference of verifyPlatform(
      options,
      { image, twin, platform },
      modules,
      signal,
    )) {
      yield { ...difference, platform }
    }
  }
  for (const platform of rest.keys()) {
    yield { kind: 'platform', path: NO_PATH, platform, expected: 'nothing', actual: 'an image' }
  }
}

interface PlatformPair {
  readonly platform: string
  /** Image of the original. */
  readonly image: PlatformImage
  /** The thin image of the same platform. */
  readonly twin: PlatformImage
}

async function* verifyPlatform(
  options: VerifyOptions,
  pair: PlatformPair,
  modules: { access: ImageAccess },
  signal: AbortSignal,
): AsyncGenerator<Difference> {
  const { image, twin } = pair
  const opening = { source: options.thin, image: twin, stores: options.stores }
  const thin = await ThinImage.open(opening, modules, signal)
  try {
    yield* compareConfigs(image.config, twin.config, thin.diffId)
    yield* compareAnnotations('manifest', image.manifest.annotations, twin.manifest.annotations)
    yield* compareRecipe(image, thin)
    yield* verifyTrees(options, { ...pair, thin }, modules, signal)
  } finally {
    thin.close()
  }
}

/** The recipe must name the original's layers, in their order. */
function* compareRecipe({ manifest }: PlatformImage, thin: ThinImage): Generator<Difference> {
  const { layers } = thin.recipe
  const count = Math.max(manifest.layers.length, layers.length)
  for (let number = 0; number < count; number++) {
    const [expected, layer] = [manifest.layers[number]?.digest, layers[number]]
    const common = { kind: 'recipe', path: NO_PATH, name: `layer ${number}` } as const
    if (expected !== layer?.digest) {
      yield { ...common, expected: expected ?? 'nothing', actual: layer?.digest ?? 'nothing' }
    } else if (layer?.url.kind !== 'thin') {
      yield { ...common, expected: 'a tree of a store', actual: 'a directory of the host' }
    }
  }
}

async function* verifyTrees(
  options: VerifyOptions,
  pair: PlatformPair & { readonly thin: ThinImage },
  { access }: { access: ImageAccess },
  signal: AbortSignal,
): AsyncGenerator<Difference> {
  const { image, platform, thin } = pair
  const folder = await mkdtemp(join(access.tempFolder, 'original-'))
  const unpacked = await UnpackedImage.unpack(
    {
      source: options.original,
      layers: image.manifest.layers,
      folder,
      onProgress: (unpackedBytes) =>
        options.onProgress?.({ stage: 'unpack', platform, unpackedBytes }),
    },
    signal,
  )
  try {
    const { found, pairs } = await openPairs(options, thin, unpacked, signal)
    yield* found
    yield* compareTrees(pairs, {
      signal,
      onProgress: (progress) =>
        options.onProgress?.({ stage: 'compare', platform, trees: pairs.length, ...progress }),
    })
  } finally {
    unpacked.close()
    await rm(folder, { recursive: true, force: true })
  }
}

/** Opens the indexes of the thin image in each place that has them. Each tree is compared once. */
async function openPairs(
  options: VerifyOptions,
  thin: ThinImage,
  unpacked: UnpackedImage,
  signal: AbortSignal,
): Promise<{ readonly pairs: TreePair[]; readonly found: Difference[] }> {
  const { layers = [], merged } = thin.recipe.thin ?? {}
  const pairs: TreePair[] = []
  const found: Difference[] = []
  const add = async (
    name: string,
    ref: IndexRef,
    expected: TreePair['expected'],
  ): Promise<void> => {
    let index: Index | undefined
    for (const origin of thin.originsOf(ref)) {
      const opened = await openIndex(thin, ref, origin, signal)
      if (opened instanceof Index) index ??= opened
      else found.push({ ...opened, name: `${name}, ${origin}` })
    }
    if (index === undefined) return
    pairs.push({ name, expected, actual: new StoredTree({ index, source: thin.store }) })
  }
  if (options.layers !== false || merged === undefined) {
    for (const [number, expected] of unpacked.layers.entries()) {
      const ref = layers[number] ?? undefined
      if (ref !== undefined) await add(`layer ${number}`, ref, expected)
    }
  }
  if (merged !== undefined) await add('merged', merged, unpacked.merged)
  return { pairs, found }
}

async function openIndex(
  thin: ThinImage,
  ref: IndexRef,
  origin: IndexOrigin,
  signal: AbortSignal,
): Promise<Index | Difference> {
  try {
    return await thin.index(ref, origin, signal)
  } catch (error) {
    if (indexFailure(error) === undefined || !(error instanceof Error)) throw error
    return { kind: 'index', path: NO_PATH, expected: ref.digest, actual: error.message }
  }
}
