/**
 * Turns layers into indexes and packs in the store, or finds that the store has them already. A
 * layer counts as done only when the store has confirmed all its blobs.
 */
import { rm } from 'node:fs/promises'
import {
  type Digest,
  type FrameCompressor,
  Index,
  NOTHING_KNOWN,
  type PackTable,
  type PackedContent,
  ResolvedLayer,
  type Tree,
  packFiles,
  packInputsOf,
  writeIndex,
} from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { BlobPublisher } from './blob-publisher.js'
import type { PublishStore } from './publish-store.js'
import { compressIndex, fetchIndex } from './index-blob.js'
import { layerIndexKey } from './index-key.js'
import { PackSpool } from './pack-spool.js'
import type { ConvertProgress } from './progress.js'
import type { KnownIndex, PublishDatabase } from './publish-database.js'
import { PublishedContent } from './published-content.js'
import type { StageClock } from './stage-clock.js'
import { type LayerTask, type UnpackedLayer, layerError } from './unpacked-layer.js'
import type { Workspace } from './workspace.js'

export interface ConvertedLayer {
  readonly task: LayerTask
  readonly index: KnownIndex
  /** The index as a local file, for merging. */
  readonly indexPath: string
  /** The packs that the index refers to. */
  readonly packs: readonly { readonly digest: Digest; readonly sizeBytes: number }[]
  /** Whether the store had the layer, so that nothing was fetched from the source or compressed. */
  readonly reused: boolean
  /** Size of the uncompressed tar; 0 for a reused layer, whose tar is not read. */
  readonly rawBytes: number
}

export interface LayerConverterModules {
  readonly store: PublishStore
  readonly database: PublishDatabase
  readonly publisher: BlobPublisher
  readonly compressor: FrameCompressor
  readonly workspace: Workspace
  readonly clock: StageClock
  readonly progress: ConvertProgress
  readonly signal: AbortSignal
}

export interface LayerConverterOptions {
  /** zstd level of frames. */
  readonly level: number
  /**
   * Whether content that was published before is used. If false, the packs depend on the layer
   * alone.
   */
  readonly reuse: boolean
}

/**
 * Attempts to pack a layer. Before each repetition the store has lost at least one pack. More than
 * a few mean that the store is being emptied.
 */
const MAX_REPACKS = 3

export class LayerConverter {
  readonly #options: LayerConverterOptions
  readonly #modules: LayerConverterModules

  constructor(options: LayerConverterOptions, modules: LayerConverterModules) {
    this.#options = options
    this.#modules = modules
  }

  /**
   * The layer, if its index and all its packs are in the store or can be taken over into it; else
   * undefined.
   */
  async find(task: LayerTask): Promise<ConvertedLayer | undefined> {
    const { store, database, publisher, workspace, signal } = this.#modules
    if (!this.#options.reuse) return undefined
    if (database.diffIdOf(task.blob.digest) !== task.diffId) return undefined
    const index =
      database.index(layerIndexKey(task.diffId, undefined)) ??
      database.index(layerIndexKey(task.diffId, task.lower))
    if (index === undefined) return undefined
    if (!(await publisher.find(index.blob.digest, index.blob.sizeBytes))) return undefined
    const indexPath = workspace.file('index')
    if (!(await fetchIndex(index, indexPath, store, signal))) {
      publisher.distrust(index.blob.digest)
      return undefined
    }
    const packs = packsOf(indexPath)
    for (const { digest, sizeBytes } of packs) {
      if (await publisher.find(digest, sizeBytes)) continue
      await rm(indexPath)
      return undefined
    }
    return { task, index, indexPath, packs, reused: true, rawBytes: 0 }
  }

  /**
   * Packs an unpacked layer, and stores its packs and index. `below` are the indexes of the layers
   * below, bottom first. The caller closes the layer.
   */
  async convert(layer: UnpackedLayer, below: readonly Tree[]): Promise<ConvertedLayer> {
    const { clock, database, publisher, workspace, signal } = this.#modules
    const { task } = layer
    try {
      const packed = await clock.time('pack', () => this.#pack(layer))
      const indexPath = workspace.file('index')
      const tree = ResolvedLayer.create(layer.tree, below)
      const { index, packs } = await clock.time('index', async () => {
        const written = writeIndex(tree, {
          path: indexPath,
          kind: 'layer',
          packs: packed.packs,
          extentsOf: (ino) => packed.extentsOf(ino),
          signal,
        })
        const blob = await compressIndex(indexPath, workspace.file('blob'), signal)
        await publisher.send(blob)
        return {
          index: {
            digest: written.digest,
            sizeBytes: written.sizeBytes,
            blob: { digest: blob.digest, sizeBytes: blob.sizeBytes },
            xattrs: written.meta.xattrs,
          },
          packs: packsOf(indexPath),
        }
      })
      await clock.time('upload', () => publisher.settle())
      database.recordPacks(packed.packs, contentsOf(packed))
      database.recordLayerBlob(task.blob.digest, task.diffId)
      const independent = below.length > 0 && !tree.dependsOnBelow
      database.recordIndex(layerIndexKey(task.diffId, independent ? undefined : task.lower), index)
      return { task, index, indexPath, packs, reused: false, rawBytes: layer.rawBytes }
    } catch (cause) {
      throw layerError(task, cause)
    }
  }

  async #pack(layer: UnpackedLayer): Promise<PackedContent> {
    const { database, publisher, progress } = this.#modules
    const known = new PublishedContent({ database, publisher })
    for (let attempt = 1; attempt <= MAX_REPACKS; attempt++) {
      const shown = progress.begin(`${layer.task.name}: pack`, layer.spool.sizeBytes)
      try {
        const packed = await this.#packOnce(
          layer,
          this.#options.reuse ? known : NOTHING_KNOWN,
          (n) => {
            shown.advance(n)
          },
        )
        if (!(await this.#loseMissing(packed, known))) return packed
      } finally {
        shown.end()
      }
    }
    throw new SnapshotterError(
      'unavailable',
      `${layer.task.name}: packs that were in the store before keep disappearing from it`,
    )
  }

  #packOnce(
    layer: UnpackedLayer,
    known: PublishedContent | typeof NOTHING_KNOWN,
    onProgress: (bytes: number) => void,
  ): Promise<PackedContent> {
    const { compressor, publisher, workspace, signal } = this.#modules
    const { tree, spool } = layer
    return packFiles({
      files: packInputsOf(tree, (ino) => contentDigest(layer, ino)),
      spool,
      known,
      compressor,
      level: this.#options.level,
      openPack: () => new PackSpool(workspace.file('pack'), (file) => publisher.send(file)),
      onProgress,
      signal,
    })
  }

  /**
   * Checks the earlier packs that packing relied on. Returns true if one is gone; the layer must
   * then be packed again.
   */
  async #loseMissing(packed: PackedContent, known: PublishedContent): Promise<boolean> {
    let lost = false
    for (const [position, { digest, sizeBytes }] of packed.packs.entries()) {
      if (packed.newPacks.has(position)) continue
      if (await this.#modules.publisher.find(digest, sizeBytes)) continue
      known.lose(digest)
      lost = true
    }
    return lost
  }
}

/** The packs that the index at `indexPath` refers to. */
export function packsOf(indexPath: string): { digest: Digest; sizeBytes: number }[] {
  const index = Index.open(indexPath)
  try {
    return index.packs().map(({ digest, sizeBytes }) => ({ digest, sizeBytes }))
  } finally {
    index.close()
  }
}

function contentDigest({ tree, task }: UnpackedLayer, ino: number): Digest {
  const digest = tree.contentDigest(ino)
  if (digest !== undefined) return digest
  throw new SnapshotterError('internal', `${task.name}: inode ${ino} is packed, but has no content`)
}

function* contentsOf(
  packed: PackedContent,
): Generator<{ digest: Digest; pieces: { pack: Digest; rawOffset: number; length: number }[] }> {
  const digests = packed.packs.map((table: PackTable) => table.digest)
  for (const { digest, pieces } of packed.storedContents()) {
    const named = pieces.flatMap(({ pack, rawOffset, length }) => {
      const found = digests[pack]
      return found === undefined ? [] : [{ pack: found, rawOffset, length }]
    })
    if (named.length === pieces.length) yield { digest, pieces: named }
  }
}
