/**
 * An image of an OCI layout, unpacked once, so that it can be packed repeatedly with different
 * frame sizes and levels. The frames of its guessed start are known, and content that other images
 * have stored can be left out.
 */
import { createReadStream, readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Digest,
  type Frame,
  type FrameCompressor,
  type FrameSizes,
  type KnownContent,
  type KnownPiece,
  LayerBuilder,
  type LayerTree,
  MergedTree,
  type PackSink,
  type PackedContent,
  type Profile,
  decompress,
  digestOf,
  packFiles,
  packInputsOf,
} from '../index-format/index.js'
import { SpoolFile } from '../snapshotter/publish/convert/spool-file.js'
import { guessStart } from '../snapshotter/publish/guess/guess-start.js'

interface Layer {
  readonly tree: LayerTree
  readonly spool: SpoolFile
}

export interface Packing {
  /** Size of the packs with their tables, without indexes. */
  readonly packBytes: number
  readonly frames: number
  /** The frames that the image's guessed start needs, and their compressed bytes. */
  readonly startFrames: number
  readonly startBytes: number
}

export interface PackingOptions {
  readonly sizes: FrameSizes
  readonly level: number
  readonly compressor: FrameCompressor
  /** Content that is stored already. The packed content is added to it. Default: nothing. */
  readonly stored?: StoredSoFar
}

export class PackedImage {
  /** Size of the image's compressed layers. */
  readonly gzipBytes: number
  readonly #folder: string
  readonly #layers: readonly Layer[]
  readonly #merged: MergedTree
  readonly #start: Profile

  private constructor(
    about: { gzipBytes: number; folder: string; start: Profile },
    layers: readonly Layer[],
    merged: MergedTree,
  ) {
    this.gzipBytes = about.gzipBytes
    this.#folder = about.folder
    this.#start = about.start
    this.#layers = layers
    this.#merged = merged
  }

  /** Unpacks an image. `layoutAndTag` is the result of `debianImage`. The caller closes it. */
  static async open(layoutAndTag: string): Promise<PackedImage> {
    const colon = layoutAndTag.lastIndexOf(':')
    const layout = layoutAndTag.slice(0, colon)
    const { manifest, config } = documentsOf(layout, layoutAndTag.slice(colon + 1))
    const folder = await mkdtemp(join(tmpdir(), 'thin-packing-'))
    const layers: Layer[] = []
    for (const { digest } of manifest.layers) {
      const name = join(folder, String(layers.length))
      const spool = SpoolFile.create(`${name}.spool`)
      const builder = LayerBuilder.create({ sink: spool, workFile: `${name}.tree` })
      await builder.addArchive(decompress(createReadStream(blobPath(layout, digest))))
      await spool.flush()
      layers.push({ tree: builder.finish(), spool })
    }
    const merged = MergedTree.create(layers.map(({ tree }) => tree))
    const start = await guessStart({
      index: digestOf(new Uint8Array()),
      tree: merged,
      argv: [...(config.Entrypoint ?? []), ...(config.Cmd ?? [])],
      env: config.Env ?? [],
      workingDirectory: config.WorkingDir ?? '/',
      readFile: (ino, offset, length) =>
        Promise.resolve(readRun(merged, layers, { ino, offset, length })),
    })
    const gzipBytes = manifest.layers.reduce((sum, { size }) => sum + size, 0)
    return new PackedImage({ gzipBytes, folder, start }, layers, merged)
  }

  async pack(options: PackingOptions): Promise<Packing> {
    const packed: PackedContent[] = []
    let packBytes = 0
    let frames = 0
    for (const { tree, spool } of this.#layers) {
      const layer = await packFiles({
        files: packInputsOf(tree, (ino) => tree.contentDigest(ino)),
        spool,
        ...options,
        ...(options.stored === undefined ? {} : { known: options.stored }),
        openPack: () => NOWHERE,
      })
      options.stored?.add(layer)
      packed.push(layer)
      for (const position of layer.newPacks) {
        packBytes += layer.packs[position]?.sizeBytes ?? 0
        frames += layer.packs[position]?.frames.length ?? 0
      }
    }
    const touched = this.#startFrames(packed)
    const startBytes = touched.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
    return { packBytes, frames, startFrames: touched.length, startBytes }
  }

  async close(): Promise<void> {
    this.#merged.close()
    for (const { tree, spool } of this.#layers) {
      tree.close()
      await spool.close()
    }
    await rm(this.#folder, { recursive: true, force: true })
  }

  #startFrames(packed: readonly PackedContent[]): Frame[] {
    const found = new Map<string, Frame>()
    for (const { ino, offset, length } of this.#start.ranges) {
      const origin = this.#merged.origin(ino)
      const content = packed[origin.layer]
      for (const extent of content?.extentsOf(origin.ino) ?? []) {
        const from = extent.rawOffset + Math.max(0, offset - extent.offset)
        const to = extent.rawOffset + Math.min(extent.length, offset + length - extent.offset)
        const pack = content?.packs[extent.pack]
        for (const frame of pack?.frames ?? []) {
          const touches = frame.rawOffset < to && frame.rawOffset + frame.rawSizeBytes > from
          if (touches) found.set(`${pack?.digest ?? ''} ${frame.offset}`, frame)
        }
      }
    }
    return [...found.values()]
  }
}

/** Content of images that were packed earlier, like a publisher's database. */
export class StoredSoFar implements KnownContent {
  readonly #files = new Map<Digest, readonly KnownPiece[]>()
  readonly #frames = new Map<Digest, KnownPiece>()

  add(content: PackedContent): void {
    for (const { digest, pieces } of content.storedContents()) {
      const known = pieces.flatMap(({ pack, rawOffset, length }) => {
        const table = content.packs[pack]
        return table === undefined ? [] : [{ pack: table, rawOffset, length }]
      })
      this.#files.set(digest, known)
    }
    for (const pack of content.packs) {
      for (const { digest, rawOffset, rawSizeBytes } of pack.frames) {
        this.#frames.set(digest, { pack, rawOffset, length: rawSizeBytes })
      }
    }
  }

  file(digest: Digest): readonly KnownPiece[] | undefined {
    return this.#files.get(digest)
  }

  frame(digest: Digest): KnownPiece | undefined {
    return this.#frames.get(digest)
  }
}

/** Discards the packs, because only their sizes are needed. */
const NOWHERE: PackSink = {
  write: () => Promise.resolve(),
  finish: () => Promise.resolve(),
  abort: () => Promise.resolve(),
}

interface Documents {
  readonly manifest: { readonly layers: readonly { digest: string; size: number }[] }
  readonly config: {
    readonly Entrypoint?: string[]
    readonly Cmd?: string[]
    readonly Env?: string[]
    readonly WorkingDir?: string
  }
}

function documentsOf(layout: string, tag: string): Documents {
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
    manifests: { digest: string; annotations?: Record<string, string> }[]
  }
  const named = index.manifests.find(
    ({ annotations }) => annotations?.['org.opencontainers.image.ref.name'] === tag,
  )
  if (named === undefined) throw new Error(`${layout}: there is no image ${tag}`)
  const manifest = JSON.parse(
    readFileSync(blobPath(layout, named.digest), 'utf8'),
  ) as Documents['manifest'] & { config: { digest: string } }
  const { config } = JSON.parse(readFileSync(blobPath(layout, manifest.config.digest), 'utf8')) as {
    config: Documents['config']
  }
  return { manifest, config }
}

function blobPath(layout: string, digest: string): string {
  return join(layout, 'blobs', digest.replace(':', '/'))
}

function readRun(
  merged: MergedTree,
  layers: readonly Layer[],
  run: { ino: number; offset: number; length: number },
): Uint8Array {
  const bytes = new Uint8Array(run.length)
  const end = run.offset + run.length
  const spool = layers[merged.origin(run.ino).layer]?.spool
  for (const extent of merged.extents(run.ino)) {
    const from = Math.max(run.offset, extent.offset)
    const to = Math.min(end, extent.offset + extent.length)
    if (from >= to) continue
    spool?.readSync(
      bytes.subarray(from - run.offset, to - run.offset),
      extent.rawOffset + from - extent.offset,
    )
  }
  return bytes
}
