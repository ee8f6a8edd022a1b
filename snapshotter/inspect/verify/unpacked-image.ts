/**
 * The original, unpacked: each layer as a tree with its content in a spool file, and all of them
 * merged as overlayfs would. Nothing here goes through what made the thin image but the unpacking.
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
  /** Where spools and working trees go; nothing is left there after `close`. */
  readonly folder: string
  /** Told the bytes of the layers' content unpacked so far. */
  readonly onProgress?: ((spooledBytes: number) => void) | undefined
}

interface UnpackedLayer {
  /** As it was unpacked. */
  readonly tree: LayerTree
  /** Above the layers below it. */
  readonly resolved: ResolvedLayer
  readonly spool: FileSpool
}

export class UnpackedImage {
  readonly #layers: UnpackedLayer[] = []
  #merged: MergedTree | undefined

  /**
   * Reads and unpacks every layer. Throws what the source and the layers throw; then nothing is
   * left open. The caller closes it.
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

  /** Each layer as containerd unpacks it above the ones below, bottom first. */
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
