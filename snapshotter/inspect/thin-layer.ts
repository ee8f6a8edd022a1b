/** Reads a thin image's layer: the recipe and the files beside it. */
import { createHash, type Hash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  decompress,
  type Digest,
  MAX_RECIPE_BYTES,
  readTar,
  type Recipe,
  RECIPE_FILE_NAME,
  recipeFromBytes,
  type TarMember,
} from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import type { ImageSource } from '../images/index.js'
import { boundedContent, type ImageManifest } from '../images/registry/index.js'

export interface ThinLayerFiles {
  readonly recipe: Recipe
  /** Digest of the layer's tar archive. The image's configuration must name it. */
  readonly diffId: Digest
  /** Paths on the local disk of the other files of the layer, by file name. Not verified. */
  readonly files: ReadonlyMap<string, string>
}

/**
 * Files beside the recipe that are read; further ones are ignored. A thin layer of ours has fewer.
 */
const MAX_FILES = 16
/** Largest uncompressed thin layer. The largest index is a few hundred megabytes compressed. */
const MAX_LAYER_RAW_BYTES = 4 * 1024 ** 3
const PLAIN_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,254}$/

/**
 * Reads the only layer of a thin image. The files beside the recipe are written to `folder`, which
 * is created. Throws `invalid-argument` if the image is not thin, and the errors of the source and
 * the recipe.
 */
export async function readThinLayer(
  source: ImageSource,
  manifest: ImageManifest,
  folder: string,
  signal: AbortSignal,
): Promise<ThinLayerFiles> {
  const [layer, second] = manifest.layers
  if (layer === undefined || second !== undefined) {
    throw notThin(source, `it has ${manifest.layers.length} layers, a thin image has one`)
  }
  await mkdir(folder, { recursive: true })
  const files = new Map<string, string>()
  let recipe: Recipe | undefined
  const raw = decompress(source.blob(layer, signal), { maxRawBytes: MAX_LAYER_RAW_BYTES })
  const hash = createHash('sha256')
  for await (const member of readTar(hashed(raw, hash), { globalHeaders: 'ignore' })) {
    const name = rootFileName(member)
    if (name === RECIPE_FILE_NAME) {
      const what = `${name} of ${source.name}`
      recipe = recipeFromBytes(await boundedContent(member.body, MAX_RECIPE_BYTES, what))
    } else if (name !== undefined && files.size < MAX_FILES) {
      const path = join(folder, name)
      await pipeline(member.body, createWriteStream(path, { mode: 0o600 }), { signal })
      files.set(name, path)
    }
  }
  if (recipe === undefined) throw notThin(source, `its layer holds no ${RECIPE_FILE_NAME}`)
  return { recipe, files, diffId: `sha256:${hash.digest('hex')}` }
}

async function* hashed(bytes: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    hash.update(chunk)
    yield chunk
  }
}

/** The name of a regular file in the layer's root directory; undefined for other members. */
function rootFileName(member: TarMember): string | undefined {
  if (member.kind !== 'file' || member.sparse !== undefined) return undefined
  const name = Buffer.from(member.path)
    .toString('latin1')
    .replace(/^(?:\.?\/)+/, '')
  return PLAIN_NAME.test(name) ? name : undefined
}

function notThin(source: ImageSource, why: string): SnapshotterError {
  return new SnapshotterError(
    'invalid-argument',
    `${source.name} is not a thin image: ${why}; make one with thinctl convert`,
  )
}
