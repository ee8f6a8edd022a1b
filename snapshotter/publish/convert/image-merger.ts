/**
 * Merges the layers of one image into one index in the store, or finds that the store has it
 * already.
 */
import { rm } from 'node:fs/promises'
import {
  type Digest,
  type Extent,
  type Index,
  MergedTree,
  type PackTable,
  writeIndex,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { compressIndex, fetchIndex } from './index-blob.js'
import { mergedIndexKey } from './index-key.js'
import { type ConvertedLayer, type LayerConverterModules, packsOf } from './layer-converter.js'
import type { MergedIndex } from './merged-index.js'
import type { KnownIndex } from './publish-database.js'

/**
 * Merges layers, bottom first. `indexes` are the open indexes of `layers`; the caller closes them.
 */
export async function mergeLayers(
  layers: readonly ConvertedLayer[],
  indexes: readonly Index[],
  modules: LayerConverterModules,
  options: { reuse: boolean },
): Promise<MergedIndex> {
  const { database, publisher, store, workspace, signal } = modules
  const key = mergedIndexKey(layers.map((layer) => layer.index.digest))
  const path = workspace.file('index')
  try {
    const known = options.reuse ? database.index(key) : undefined
    if (known !== undefined && (await publisher.find(known.blob.digest, known.blob.sizeBytes))) {
      if (await fetchIndex(known, path, store, signal)) {
        return { index: known, packs: packsOf(path), reused: true }
      }
      publisher.distrust(known.blob.digest)
    }
    const index = await writeMerged(path, indexes, modules)
    await publisher.settle()
    database.recordIndex(key, index)
    return { index, packs: packsOf(path), reused: false }
  } finally {
    await rm(path, { force: true })
  }
}

async function writeMerged(
  path: string,
  indexes: readonly Index[],
  { publisher, workspace, signal }: LayerConverterModules,
): Promise<KnownIndex> {
  const packs = new PackPositions(indexes)
  const workFile = workspace.file('merge')
  const merged = MergedTree.create(indexes, { workFile, signal })
  try {
    const written = writeIndex(merged, {
      path,
      kind: 'merged',
      packs: packs.tables,
      extentsOf: (ino) => {
        const { layer } = merged.origin(ino)
        return merged.extents(ino).map((extent) => packs.positioned(layer, extent))
      },
      signal,
    })
    const blob = await compressIndex(path, workspace.file('blob'), signal)
    await publisher.send(blob)
    return {
      digest: written.digest,
      sizeBytes: written.sizeBytes,
      blob: { digest: blob.digest, sizeBytes: blob.sizeBytes },
      xattrs: written.meta.xattrs,
    }
  } finally {
    merged.close()
    await rm(workFile, { force: true })
  }
}

/** The packs of several indexes in one list, each pack once. */
class PackPositions {
  readonly tables: PackTable[] = []
  /** For each layer: the position in the list of each of its pack keys. */
  readonly #positions: ReadonlyMap<number, number>[]

  constructor(indexes: readonly Index[]) {
    const byDigest = new Map<Digest, number>()
    this.#positions = indexes.map((index) => {
      const positions = new Map<number, number>()
      for (const { key, digest } of index.packs()) {
        const known = byDigest.get(digest)
        const position = known ?? this.tables.push(index.packTable(key)) - 1
        byDigest.set(digest, position)
        positions.set(key, position)
      }
      return positions
    })
  }

  positioned(layer: number, extent: Extent): Extent {
    const pack = this.#positions[layer]?.get(extent.pack)
    if (pack !== undefined) return { ...extent, pack }
    throw new SnapshotterError('internal', `merge: layer ${layer} has no pack ${extent.pack}`)
  }
}
