/** The findings of `inspect` about an image or an index file, in the shape of its JSON. */
import {
  type Index,
  type IndexRef,
  type Recipe,
  textFromLayerUrl,
} from '../../index-format/index.js'
import type { ImageSource } from '../images/index.js'
import { formatPlatform } from '../images/registry/index.js'
import { type ContentUsage, contentUsageOf } from './content-usage.js'
import type { ImageAccess } from './image-access.js'
import type { PlatformImage } from './platform-images.js'
import { ThinImage } from './thin-image.js'

export interface TreeReport {
  /** `merged`, `layer 0`, …, or the path of an index file. */
  readonly name: string
  /** Digest of the index file. */
  readonly digest: string
  readonly kind: 'layer' | 'merged'
  /** The class of superblock that serves the tree: `xattr` if it has extended attributes. */
  readonly class: 'plain' | 'xattr'
  readonly inodes: number
  readonly files: number
  /** Sum of the files' sizes, holes included. */
  readonly sizeBytes: number
  readonly indexSizeBytes: number
  /** Size of the compressed index in the store; absent for an index file. */
  readonly indexStoredBytes?: number
  /** Whether the image carries the index. Absent for an index file. */
  readonly embedded?: boolean
  readonly packs: number
  readonly frames: number
}

export interface ThinImageReport {
  readonly platform: string
  /** Digest of the manifest. */
  readonly digest: string
  /** Size of a pull: manifest, configuration and layer. */
  readonly pullBytes: number
  readonly recipe: RecipeReport
  readonly trees: readonly TreeReport[]
  readonly content: ContentUsage
}

export interface RecipeReport {
  readonly version: string
  readonly origin: string
  readonly stores: readonly string[]
  readonly layers: readonly { readonly digest: string; readonly url: string }[]
}

export interface IndexReport {
  readonly name: string
  readonly tree: TreeReport
  readonly content: ContentUsage
}

/** Reports on the thin image of one platform. Fetches every index, but no pack. */
export async function reportThinImage(
  options: { source: ImageSource; image: PlatformImage; stores: readonly string[] | undefined },
  modules: { access: ImageAccess },
  signal: AbortSignal,
): Promise<ThinImageReport> {
  const { image } = options
  const { config, layers } = image.manifest
  const thin = await ThinImage.open(options, modules, signal)
  try {
    const parts = [image.descriptor, config, ...layers]
    const about = await reportRecipe(thin, signal)
    return {
      platform: formatPlatform(image.platform),
      digest: image.descriptor.digest,
      pullBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0),
      ...about,
    }
  } finally {
    thin.close()
  }
}

/** Reports on a recipe, its trees and their content. */
export async function reportRecipe(
  thin: ThinImage,
  signal: AbortSignal,
): Promise<Pick<ThinImageReport, 'recipe' | 'trees' | 'content'>> {
  const trees: TreeReport[] = []
  const layers: Index[] = []
  const { merged, layers: refs = [] } = thin.recipe.thin ?? {}
  let usage: ContentUsage | undefined
  if (merged !== undefined) {
    const index = await openIndex(thin, merged, signal)
    trees.push(reportTree('merged', index, merged))
    usage = refs.every((ref) => ref === null) ? contentUsageOf([index]) : undefined
  }
  for (const [number, ref] of refs.entries()) {
    if (ref === null) continue
    const index = await openIndex(thin, ref, signal)
    layers.push(index)
    trees.push(reportTree(`layer ${number}`, index, ref))
  }
  const recipe = recipeReport(thin.recipe, thin.storeUrls)
  return { recipe, trees, content: usage ?? contentUsageOf(layers) }
}

/** Reports on an index file. */
export function reportIndex(
  index: Index,
  file: { readonly name: string; readonly digest: string; readonly sizeBytes: number },
): IndexReport {
  const tree = reportTree(file.name, index, { ...file, xattrs: index.meta.xattrs })
  return { name: file.name, tree, content: contentUsageOf([index]) }
}

function openIndex(thin: ThinImage, ref: IndexRef, signal: AbortSignal): Promise<Index> {
  const [origin = 'store'] = thin.originsOf(ref)
  return thin.index(ref, origin, signal)
}

type NamedIndex = Pick<IndexRef, 'sizeBytes' | 'xattrs'> &
  Partial<Pick<IndexRef, 'blob' | 'embedded'>> & { readonly digest: string }

function reportTree(name: string, index: Index, ref: NamedIndex): TreeReport {
  const { files, frames, inodes, kind, packs, sizeBytes } = index.meta
  const stored =
    ref.blob === undefined
      ? {}
      : { indexStoredBytes: ref.blob.sizeBytes, embedded: ref.embedded !== undefined }
  return {
    name,
    digest: ref.digest,
    kind,
    class: ref.xattrs ? 'xattr' : 'plain',
    inodes,
    files,
    sizeBytes,
    indexSizeBytes: ref.sizeBytes,
    ...stored,
    packs,
    frames,
  }
}

function recipeReport(recipe: Recipe, stores: readonly string[]): RecipeReport {
  const layers = recipe.layers.map(({ digest, url }) => ({ digest, url: textFromLayerUrl(url) }))
  return { version: recipe.version, origin: recipe.origin, stores, layers }
}
