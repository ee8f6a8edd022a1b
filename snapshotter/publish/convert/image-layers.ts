/**
 * Converts the layers of one image, bottom first. While one layer is packed, the next is fetched
 * and unpacked, so that network, decompression and compression work at the same time. At most two
 * layers are under way.
 */
import { type Digest, Index } from '../../../index-format/index.js'
import type { ImageSource } from '../../images/index.js'
import { chainIdOf } from './index-key.js'
import type { ConvertedLayer, LayerConverter, LayerConverterModules } from './layer-converter.js'
import type { SourceImage } from './source-images.js'
import { type LayerTask, UnpackedLayer } from './unpacked-layer.js'

/** A layer whose index is open. */
export interface OpenLayer {
  readonly layer: ConvertedLayer
  readonly index: Index
}

export interface ImageLayersModules extends LayerConverterModules {
  readonly converter: LayerConverter
  readonly source: ImageSource
}

/** A layer that was found in the store, or one that is ready to be packed. */
type PreparedLayer =
  | { readonly kind: 'found'; readonly layer: ConvertedLayer }
  | { readonly kind: 'unpacked'; readonly layer: UnpackedLayer }

/**
 * Converts all layers of an image, and returns them bottom first. The caller closes the indexes.
 */
export async function convertLayers(
  image: SourceImage,
  modules: ImageLayersModules,
): Promise<OpenLayer[]> {
  const given = new AbortController()
  const signal = AbortSignal.any([modules.signal, given.signal])
  const tasks = layerTasks(image)
  const done: OpenLayer[] = []
  let ahead: Promise<PreparedLayer> | undefined
  try {
    for (const [at, task] of tasks.entries()) {
      const prepared = await (ahead ?? prepare(task, modules, signal))
      const next = tasks[at + 1]
      ahead = next && prepare(next, modules, signal)
      // The next iteration throws a failure of `ahead`. Until then it must not count as unhandled.
      ahead?.catch(() => undefined)
      const layer = await finish(prepared, done, modules)
      done.push({ layer, index: Index.open(layer.indexPath) })
    }
    return done
  } catch (cause) {
    given.abort(cause)
    for (const { index } of done) index.close()
    await ahead?.then(discard, () => undefined)
    throw cause
  }
}

function layerTasks({ manifest, diffIds }: SourceImage): LayerTask[] {
  let lower: Digest | 'bottom' = 'bottom'
  return manifest.layers.flatMap((blob, at) => {
    const diffId = diffIds[at]
    if (diffId === undefined) return []
    const name = `layer ${at + 1} of ${manifest.layers.length}`
    const task: LayerTask = { blob, diffId, lower, name }
    lower = chainIdOf(lower, diffId)
    return [task]
  })
}

async function prepare(
  task: LayerTask,
  modules: ImageLayersModules,
  signal: AbortSignal,
): Promise<PreparedLayer> {
  const found = await modules.clock.time('resolve', () => modules.converter.find(task))
  if (found !== undefined) return { kind: 'found', layer: found }
  const layer = await modules.clock.time('unpack', () =>
    UnpackedLayer.unpack(task, { ...modules, signal }),
  )
  return { kind: 'unpacked', layer }
}

async function finish(
  prepared: PreparedLayer,
  below: readonly OpenLayer[],
  { converter }: ImageLayersModules,
): Promise<ConvertedLayer> {
  if (prepared.kind === 'found') return prepared.layer
  try {
    return await converter.convert(
      prepared.layer,
      below.map(({ index }) => index),
    )
  } finally {
    await prepared.layer.close()
  }
}

async function discard(prepared: PreparedLayer): Promise<void> {
  if (prepared.kind === 'unpacked') await prepared.layer.close()
}
