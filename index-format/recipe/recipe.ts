/**
 * thin.json: what a thin image's only layer holds. Version 1.0 is CVMFS's format; the member `thin`
 * is ours, and a recipe without it is a plain CVMFS recipe. Unknown members are ignored, so that a
 * later writer can add some; everything we read is checked and bounded.
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
/** The name under which the compressed merged index stands beside it. */
export const EMBEDDED_INDEX_FILE_NAME = 'thin-index.zst'

/** The name of the startup plan's file, where there is one. */
export const STARTUP_PLAN_FILE_NAME = 'thin-startup.zst'
/** The name of the startup pages' file, where they travel instead of the index. */
export const STARTUP_PAGES_FILE_NAME = 'thin-startup-pages.zst'
/** The name of the guessed profile's file, where there is one. */
export const GUESS_FILE_NAME = 'thin-guess.json'

/** A blob of a store. */
export interface BlobRef {
  readonly digest: Digest
  readonly sizeBytes: number
}

/** An index: the SQLite file, and the zstd-compressed blob it travels in. */
export interface IndexRef {
  /** Of the SQLite file, decompressed. */
  readonly digest: Digest
  /** The SQLite file, decompressed. */
  readonly sizeBytes: number
  readonly blob: BlobRef
  /** Whether its tree needs a superblock that answers extended attributes. */
  readonly xattrs: boolean
  /** The file of the thin layer that holds the same bytes as `blob`, if one does. */
  readonly embedded?: string
}

export interface RecipeLayer {
  /** Of the original image's layer blob, as it is stored there. */
  readonly digest: Digest
  readonly url: LayerUrl
}

/** What a start of the image reads, in packs of its own that can be fetched at once. */
export interface StartupRef {
  /** The file of the thin layer that holds the startup plan. */
  readonly plan: LayerFileRef
  /** In the order in which they are to be fetched; at least one. */
  readonly packs: readonly BlobRef[]
  /** The file of the thin layer that holds the startup pages of the merged index, if one does. */
  readonly pages?: LayerFileRef
}

/** A file of the thin layer, beside the recipe. */
export type LayerFileRef = BlobRef & { readonly file: string }

/** What this project adds to the format. */
export interface ThinSection {
  readonly version: 1
  /** Store URLs, first choice first: oci+https://host/repo, oci+http://, https://, http://, file:///dir. */
  readonly stores: readonly string[]
  /** All layers as one tree. */
  readonly merged?: IndexRef
  /** One for each of the recipe's layers, bottom first; null where the layer is not an index. */
  readonly layers: readonly (IndexRef | null)[]
  /** Of the merged tree. Absent where nobody said what a start reads. */
  readonly startup?: StartupRef
  /**
   * A profile of the merged tree that nobody recorded: it holds the beginning of a start, in the
   * ordinary packs, and nodes may learn the rest. Absent beside `startup`.
   */
  readonly guess?: LayerFileRef
}

export interface Recipe {
  readonly version: '1.0'
  /** What was converted, as a person would name it. Informative. */
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

/** thin.json of this recipe: the same recipe gives the same bytes. */
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

/** Checks a store's URL without opening it; what its parts mean is the business of its scheme. */
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

/** A layer of ours without its index, or an index nobody serves, could never be mounted. */
function refuseUnservedLayers(recipe: Recipe): void {
  recipe.layers.forEach((layer, at) => {
    if (layer.url.kind === 'thin' && (recipe.thin?.layers[at] ?? null) === null) {
      throw new JsonCursor(undefined, `$.thin.layers[${at}]`).refused(
        `the index of the layer whose url is thin:${layer.url.index}`,
      )
    }
  })
}
