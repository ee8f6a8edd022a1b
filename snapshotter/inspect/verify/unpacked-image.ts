/**
 * Unpacks the original: each layer as a tree with its content in a spool file, and all layers
 * merged as overlayfs would merge them. Of the code that made the thin image, only the unpacking is
 * used here.
 */
import { join } from 'node:path'
import {
  decompress,
  LayerBuilder,
  type LayerTree,
  MergedTree,
  ResolvedLayer,
} from '../../../index-format/index.js'
import type { ImageSource } from '../../images/index.js'
import type { Descriptor } from '../../images/registry/index.js'
import { FileSpool } from './file-spool.js'
import type { ReadableTree } from './readable-tree.js'

export interface UnpackOptions {
  readonly source: ImageSource
  /** Bottom first. */
  readonly layers: readonly Descriptor[]
  /** Folder for spools and working trees. Nothing is left in it after `close`. */
  readonly folder: string
  /** Called with the bytes of content that were unpacked so far, over all layers. */
  readonly onProgress?: ((spooledBytes: number) => void) | undefined
}

interface UnpackedLayer {
  /** The layer as it was unpacked. */
  readonly tree: LayerTree
  /** The layer applied above the layers below it. */
  readonly resolved: ResolvedLayer
  readonly spool: FileSpool
}

export class UnpackedImage {
  readonly #layers: UnpackedLayer[] = []
  #merged: MergedTree | undefined

  /**
   * Reads and unpacks every layer. If it throws the errors of the source or of a layer, nothing is
   * left open. The caller closes the result.
   */
  static async unpack(options: UnpackOptions, signal: AbortSignal): Promise<UnpackedImage> {
    const image = new UnpackedImage()
    try {
      for (const [number, layer] of options.layers.entries()) {
        await image.#unpackLayer(options, number, layer, signal)
      }
      const trees = image.#layers.map(({ tree }) => tree)
      image.#merged = MergedTree.create(trees, { workFile: join(options.folder, 'merged'), signal })
      return image
    } catch (error) {
      image.close()
      throw error
    }
  }

  /** Each layer as containerd unpacks it above the layers below it, bottom first. */
  get layers(): ReadableTree[] {
    return this.#layers.map(({ resolved, spool }) => ({ tree: resolved, content: () => spool }))
  }

  /** All layers as one tree. */
  get merged(): ReadableTree {
    const [tree, layers] = [this.#merged, this.#layers]
    if (tree === undefined) throw new Error('an image that failed to unpack has no tree')
    const content = (ino: number): FileSpool => {
      const spool = layers[tree.origin(ino).layer]?.spool
      if (spool === undefined) throw new RangeError(`inode ${ino} is of no layer`)
      return spool
    }
    return { tree, content }
  }

  /** Idempotent. */
  close(): void {
    this.#merged?.close()
    this.#merged = undefined
    for (const { spool, tree } of this.#layers.splice(0)) {
      tree.close()
      spool.close()
    }
  }

  async #unpackLayer(
    { folder, onProgress, source }: UnpackOptions,
    number: number,
    layer: Descriptor,
    signal: AbortSignal,
  ): Promise<void> {
    const before = this.#layers.reduce((sum, { spool }) => sum + spool.sizeBytes, 0)
    const spool = FileSpool.create(join(folder, `spool-${number}`))
    const sink = {
      append: (chunk: Uint8Array): void => {
        spool.append(chunk)
        onProgress?.(before + spool.sizeBytes)
      },
    }
    const builder = LayerBuilder.create({ sink, workFile: join(folder, `layer-${number}`) })
    try {
      const name = `layer ${number} of ${source.name}`
      await builder.addArchive(decompress(source.blob(layer, signal), { name }), signal)
      const tree = builder.finish()
      const below = this.#layers.map((other) => other.resolved)
      this.#layers.push({ tree, resolved: ResolvedLayer.create(tree, below), spool })
    } catch (error) {
      spool.close()
      throw error
    } finally {
      builder.close()
    }
  }
}
