/**
 * The recipe, thin.json, in the only layer of a thin image. Version 1.0 is CVMFS's format. The
 * member `thin` is ours; a recipe without it is a plain CVMFS recipe. Unknown members are ignored,
 * so that a later writer can add some. Every value that is read is checked and bounded.
 */
import { type Digest, hexOf } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import {
  MAX_INDEX_BYTES,
  MAX_PACK_BYTES,
  MAX_PROFILE_BYTES,
  MAX_RECIPE_BYTES,
  MAX_RECIPE_LAYERS,
  MAX_RECIPE_STORES,
  MAX_RECIPE_TEXT_BYTES,
  MAX_STARTUP_PACKS,
  MAX_STARTUP_PAGES_BYTES,
  MAX_STARTUP_PLAN_BYTES,
} from '../limits.js'
import { JsonCursor } from './json-cursor.js'
import { type LayerUrl, layerUrlFromJson, textFromLayerUrl } from './layer-url.js'

/** The name of the recipe's file in the thin image's layer. */
export const RECIPE_FILE_NAME = 'thin.json'
/** The name of the compressed merged index's file, beside the recipe, if the layer has it. */
export const EMBEDDED_INDEX_FILE_NAME = 'thin-index.zst'

/** The name of the startup plan's file, if the layer has one. */
export const STARTUP_PLAN_FILE_NAME = 'thin-startup.zst'
/** The name of the startup pages' file, if the layer has them instead of the merged index. */
export const STARTUP_PAGES_FILE_NAME = 'thin-startup-pages.zst'
/** The name of the guessed profile's file, if the layer has one. */
export const GUESS_FILE_NAME = 'thin-guess.json'

/** A blob of a store. */
export interface BlobRef {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** An index: the SQLite file, and the blob of the store that holds it, compressed with zstd. */
export interface IndexRef {
  /** Digest of the SQLite file, decompressed. */
  readonly digest: Digest
  /** Bytes of the SQLite file, decompressed. */
  readonly sizeBytes: number
  readonly blob: BlobRef
  /** Whether the tree has extended attributes, and so needs a superblock that answers them. */
  readonly xattrs: boolean
  /** The name of the file of the thin layer with the same bytes as `blob`, if there is one. */
  readonly embedded?: string
}

export interface RecipeLayer {
  /** Digest of the original image's layer blob, as it is stored: usually compressed. */
  readonly digest: Digest
  readonly url: LayerUrl
}

/** The content that a start of the image reads, in packs of its own, to be fetched at once. */
export interface StartupRef {
  /** The file of the thin layer that holds the startup plan. */
  readonly plan: LayerFileRef
  /** In the order in which they have to be fetched; at least one. */
  readonly packs: readonly BlobRef[]
  /** The file of the thin layer with the startup pages of the merged index, if there is one. */
  readonly pages?: LayerFileRef
}

/** A file of the thin layer, beside the recipe. */
export type LayerFileRef = BlobRef & { readonly file: string }

/** The member `thin`: this project's addition to CVMFS's format. */
export interface ThinSection {
  readonly version: 1
  /**
   * Store URLs, first choice first. Forms: oci+https://host/repo, oci+http://host/repo, https://…,
   * http://…, file:///directory.
   */
  readonly stores: readonly string[]
  /** The index of all layers merged into one tree. */
  readonly merged?: IndexRef
  /** The index of each layer of the recipe, bottom first; null for a layer that has none. */
  readonly layers: readonly (IndexRef | null)[]
  /** Startup content of the merged tree. Absent if the publisher had no profile. */
  readonly startup?: StartupRef
  /**
   * A guessed profile of the merged tree, not a recorded one. It names the beginning of a start,
   * whose content is in the ordinary packs. Nodes may learn the rest. Absent if there is `startup`.
   */
  readonly guess?: LayerFileRef
}

export interface Recipe {
  readonly version: '1.0'
  /** The image that was converted, as a person would name it. Informative. */
  readonly origin: string
  /** Bottom first; at least one. */
  readonly layers: readonly RecipeLayer[]
  /** Absent in a plain CVMFS recipe. */
  readonly thin?: ThinSection
}

/**
 * Parses thin.json. Throws `invalid-recipe` naming the JSON path, `unsupported-version`, or
 * `limit-exceeded` for a file over MAX_RECIPE_BYTES.
 */
export function recipeFromBytes(bytes: Uint8Array): Recipe {
  if (bytes.length > MAX_RECIPE_BYTES) {
    const message = `recipe: ${bytes.length} bytes, at most ${MAX_RECIPE_BYTES} are read`
    throw new IndexFormatError('limit-exceeded', message)
  }
  const json = new JsonCursor(jsonFromBytes(bytes))
  const version = json.member('version').text(32)
  if (version !== '1.0') {
    const message = `recipe: $.version is ${JSON.stringify(version)}, this build reads "1.0"`
    throw new IndexFormatError('unsupported-version', message)
  }
  const layers = json
    .member('layers')
    .elements(1, MAX_RECIPE_LAYERS)
    .map((layer) => ({
      digest: layer.member('digest').hexDigest(),
      url: layerUrlFromJson(layer.member('url')),
    }))
  const origin = json.member('origin')
  const thin = json.member('thin')
  const recipe: Recipe = {
    version,
    origin: origin.present ? origin.text(MAX_RECIPE_TEXT_BYTES) : '',
    layers,
    ...(thin.present ? { thin: thinSectionFromJson(thin, layers) } : {}),
  }
  refuseUnservedLayers(recipe)
  return recipe
}

/** The bytes of thin.json. The same recipe gives the same bytes. */
export function bytesFromRecipe(recipe: Recipe): Uint8Array {
  const json = {
    version: recipe.version,
    origin: recipe.origin,
    layers: recipe.layers.map((layer) => ({
      digest: hexOf(layer.digest),
      url: textFromLayerUrl(layer.url),
    })),
    ...(recipe.thin === undefined ? {} : { thin: jsonFromThinSection(recipe.thin) }),
  }
  return Buffer.from(`${JSON.stringify(json, null, 1)}\n`)
}

function jsonFromBytes(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes))
  } catch (cause) {
    const message = `recipe: $ is not JSON in UTF-8: ${cause instanceof Error ? cause.message : ''}`
    throw new IndexFormatError('invalid-recipe', message, { cause })
  }
}

function thinSectionFromJson(json: JsonCursor, layers: readonly RecipeLayer[]): ThinSection {
  const version = json.member('version').integer(0, Number.MAX_SAFE_INTEGER)
  if (version !== 1) {
    const message = `recipe: $.thin.version is ${version}, this build reads 1`
    throw new IndexFormatError('unsupported-version', message)
  }
  const merged = json.member('merged')
  const startup = json.member('startup')
  const guess = json.member('guess')
  return {
    version,
    stores: json.member('stores').elements(0, MAX_RECIPE_STORES).map(storeUrlFromJson),
    ...(merged.present ? { merged: indexRefFromJson(merged) } : {}),
    layers: json
      .member('layers')
      .elements(layers.length, layers.length)
      .map((layer, at) => layerIndexFromJson(layer, layers[at])),
    ...(startup.present ? { startup: startupFromJson(startup) } : {}),
    ...(guess.present ? { guess: layerFileFromJson(guess, MAX_PROFILE_BYTES) } : {}),
  }
}

function startupFromJson(json: JsonCursor): StartupRef {
  const pages = json.member('pages')
  return {
    plan: layerFileFromJson(json.member('plan'), MAX_STARTUP_PLAN_BYTES),
    packs: json
      .member('packs')
      .elements(1, MAX_STARTUP_PACKS)
      .map((pack) => blobRefFromJson(pack, MAX_PACK_BYTES)),
    ...(pages.present ? { pages: layerFileFromJson(pages, MAX_STARTUP_PAGES_BYTES) } : {}),
  }
}

function layerFileFromJson(json: JsonCursor, maxBytes: number): LayerFileRef {
  return { file: fileNameFromJson(json.member('file')), ...blobRefFromJson(json, maxBytes) }
}

function blobRefFromJson(json: JsonCursor, maxBytes: number): BlobRef {
  return {
    digest: json.member('digest').digest(),
    sizeBytes: json.member('sizeBytes').integer(1, maxBytes),
  }
}

function layerIndexFromJson(json: JsonCursor, layer: RecipeLayer | undefined): IndexRef | null {
  if (!json.present) return null
  const index = indexRefFromJson(json)
  if (layer?.url.kind === 'thin' && layer.url.index !== index.digest) {
    throw json.member('digest').refused(`the digest in the layer's url, ${layer.url.index}`)
  }
  return index
}

function indexRefFromJson(json: JsonCursor): IndexRef {
  const blob = json.member('blob')
  const embedded = json.member('embedded')
  return {
    digest: json.member('digest').digest(),
    sizeBytes: json.member('sizeBytes').integer(1, MAX_INDEX_BYTES),
    blob: blobRefFromJson(blob, MAX_INDEX_BYTES),
    xattrs: json.member('xattrs').boolean(),
    ...(embedded.present ? { embedded: fileNameFromJson(embedded) } : {}),
  }
}

function fileNameFromJson(json: JsonCursor): string {
  const name = json.text(255)
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name)) return name
  throw json.refused('a file name of letters, digits, ".", "_" and "-"')
}

/** Checks the form of a store's URL. The code that opens the store interprets its parts. */
function storeUrlFromJson(json: JsonCursor): string {
  const text = json.text(MAX_RECIPE_TEXT_BYTES)
  const schemes = /^(?:oci\+https?:\/\/[^/]+\/.+|https?:\/\/[^/]+\/.*|file:\/\/\/.*)$/
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !schemes.test(text)) {
    throw json.refused('oci+https://host/repository, https://host/ or file:///directory')
  }
  if (url.username !== '' || url.password !== '') {
    throw new JsonCursor('(not shown)', json.path).refused('a URL without credentials')
  }
  return text
}

function jsonFromThinSection(thin: ThinSection): unknown {
  return {
    version: thin.version,
    stores: thin.stores,
    ...(thin.merged === undefined ? {} : { merged: jsonFromIndexRef(thin.merged) }),
    layers: thin.layers.map((layer) => (layer === null ? null : jsonFromIndexRef(layer))),
    ...(thin.startup === undefined ? {} : { startup: jsonFromStartup(thin.startup) }),
    ...(thin.guess === undefined ? {} : { guess: jsonFromLayerFile(thin.guess) }),
  }
}

function jsonFromStartup({ plan, packs, pages }: StartupRef): unknown {
  return {
    plan: jsonFromLayerFile(plan),
    packs: packs.map(({ digest, sizeBytes }) => ({ digest, sizeBytes })),
    ...(pages === undefined ? {} : { pages: jsonFromLayerFile(pages) }),
  }
}

function jsonFromLayerFile({ file, digest, sizeBytes }: LayerFileRef): unknown {
  return { file, digest, sizeBytes }
}

function jsonFromIndexRef(ref: IndexRef): unknown {
  return {
    digest: ref.digest,
    sizeBytes: ref.sizeBytes,
    blob: { digest: ref.blob.digest, sizeBytes: ref.blob.sizeBytes },
    xattrs: ref.xattrs,
    ...(ref.embedded === undefined ? {} : { embedded: ref.embedded }),
  }
}

/** Throws for a `thin:` layer without its index in `thin.layers`: it could never be mounted. */
function refuseUnservedLayers(recipe: Recipe): void {
  recipe.layers.forEach((layer, at) => {
    if (layer.url.kind === 'thin' && (recipe.thin?.layers[at] ?? null) === null) {
      throw new JsonCursor(undefined, `$.thin.layers[${at}]`).refused(
        `the index of the layer whose url is thin:${layer.url.index}`,
      )
    }
  })
}
