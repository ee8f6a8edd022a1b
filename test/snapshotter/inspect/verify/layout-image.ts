/**
 * OCI layouts written blob by blob: images of fixture members, and thin images that a test changes.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import {
  bytesFromRecipe,
  type Digest,
  digestFromString,
  digestOf,
  EMBEDDED_INDEX_FILE_NAME,
  hexOf,
  readTar,
  type Recipe,
  RECIPE_FILE_NAME,
  recipeFromBytes,
} from '../../../../index-format/index.js'
import {
  OCI_CONFIG,
  OCI_INDEX,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from '../../../../snapshotter/images/registry/index.js'
import { chunksOf, type FixtureMember, tarOf } from '../../../index-format/tar/tar-fixture.js'

export interface ImageSpec {
  readonly architecture: string
  /** Members of each layer, bottom first. */
  readonly layers: readonly (readonly FixtureMember[])[]
  /** Fields of the configuration's `config`. */
  readonly config?: Readonly<Record<string, unknown>>
  readonly annotations?: Readonly<Record<string, string>>
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
}

/** A folder in OCI layout that holds one image index, tagged `1`. */
export class LayoutImage {
  readonly folder: string

  constructor(folder: string) {
    this.folder = folder
  }

  /** The image's name for thinctl. */
  get name(): string {
    return `oci:${this.folder}:1`
  }

  /** Writes an image index with one image for each platform. */
  static write(folder: string, images: readonly ImageSpec[]): LayoutImage {
    const layout = new LayoutImage(folder)
    mkdirSync(join(folder, 'blobs', 'sha256'), { recursive: true })
    writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    layout.#tag(images.map((image) => layout.#writeImage(image)))
    return layout
  }

  /** The configuration of the first platform. */
  get config(): Record<string, unknown> {
    return this.#json(this.#parts().manifest.config.digest)
  }

  /** The recipe and the embedded index of the first platform's thin layer. */
  async thinLayer(): Promise<{ recipe: Recipe; embedded: Buffer | undefined }> {
    const [layer] = this.#parts().manifest.layers
    if (layer === undefined) throw new Error('no layer')
    const files = new Map<string, Buffer>()
    for await (const member of readTar(chunksOf(gunzipSync(this.blob(layer.digest))))) {
      const chunks: Uint8Array[] = []
      for await (const chunk of member.body) chunks.push(Buffer.from(chunk))
      files.set(Buffer.from(member.path).toString(), Buffer.concat(chunks))
    }
    const recipe = recipeFromBytes(files.get(RECIPE_FILE_NAME) ?? Buffer.alloc(0))
    return { recipe, embedded: files.get(EMBEDDED_INDEX_FILE_NAME) }
  }

  /** Replaces the first platform's thin layer and the given fields of its configuration. */
  replaceThinLayer(
    layer: { readonly recipe: Recipe; readonly embedded: Uint8Array | undefined },
    changes: Readonly<Record<string, unknown>> = {},
  ): void {
    const tar = tarOf(
      { path: RECIPE_FILE_NAME, body: bytesFromRecipe(layer.recipe) },
      ...(layer.embedded === undefined
        ? []
        : [{ path: EMBEDDED_INDEX_FILE_NAME, body: layer.embedded }]),
    )
    const { manifest, manifests } = this.#parts()
    const rootfs = { type: 'layers', diff_ids: [digestOf(tar)] }
    const config = this.#writeJson(OCI_CONFIG, { ...this.config, rootfs, ...changes })
    const blob = this.#write(OCI_LAYER_GZIP, gzipSync(tar))
    const changed = this.#writeJson(OCI_MANIFEST, { ...manifest, config, layers: [blob] })
    const { platform } = manifests[0] ?? {}
    this.#tag([{ ...changed, platform }, ...manifests.slice(1)])
  }

  /** Replaces the annotations of the first platform's manifest. */
  annotate(annotations: Readonly<Record<string, string>>): void {
    const { manifest, manifests } = this.#parts()
    const changed = this.#writeJson(OCI_MANIFEST, { ...manifest, annotations })
    const { platform } = manifests[0] ?? {}
    this.#tag([{ ...changed, platform }, ...manifests.slice(1)])
  }

  /** Keeps only the first platform. */
  dropPlatforms(): void {
    this.#tag(this.#parts().manifests.slice(0, 1))
  }

  blob(digest: Digest): Buffer {
    return readFileSync(join(this.folder, 'blobs', 'sha256', hexOf(digest)))
  }

  #writeImage(spec: ImageSpec): object {
    const { annotations, architecture } = spec
    const tars = spec.layers.map((members) => tarOf(...members))
    const history = [
      ...tars.map((_, number) => ({ created_by: `layer ${number}` })),
      { created_by: 'ENV', empty_layer: true },
    ]
    const config = this.#writeJson(OCI_CONFIG, {
      architecture,
      os: 'linux',
      config: spec.config ?? {},
      rootfs: { type: 'layers', diff_ids: tars.map((tar) => digestOf(tar)) },
      history,
    })
    const layers = tars.map((tar) => this.#write(OCI_LAYER_GZIP, gzipSync(tar)))
    const manifest = { schemaVersion: 2, mediaType: OCI_MANIFEST, config, layers, annotations }
    return { ...this.#writeJson(OCI_MANIFEST, manifest), platform: { os: 'linux', architecture } }
  }

  #parts(): {
    manifests: { digest: string; platform?: unknown }[]
    manifest: { config: Descriptor; layers: Descriptor[] }
  } {
    const top = JSON.parse(readFileSync(join(this.folder, 'index.json'), 'utf8')) as {
      manifests: Descriptor[]
    }
    const [root] = top.manifests
    if (root === undefined) throw new Error('an empty layout')
    const index = this.#json(root.digest) as { manifests: { digest: string }[] }
    const [first] = index.manifests
    const manifest = this.#json(digestFromString(first?.digest ?? '', 'index'))
    return {
      manifests: index.manifests,
      manifest: manifest as { config: Descriptor; layers: Descriptor[] },
    }
  }

  #tag(manifests: readonly object[]): void {
    const index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests }
    const annotations = { 'org.opencontainers.image.ref.name': '1' }
    const top = [{ ...this.#writeJson(OCI_INDEX, index), annotations }]
    const json = JSON.stringify({ schemaVersion: 2, manifests: top })
    writeFileSync(join(this.folder, 'index.json'), json)
  }

  #json(digest: Digest): Record<string, unknown> {
    return JSON.parse(this.blob(digest).toString()) as Record<string, unknown>
  }

  #writeJson(mediaType: string, json: unknown): Descriptor {
    return this.#write(mediaType, Buffer.from(JSON.stringify(json)))
  }

  #write(mediaType: string, bytes: Buffer): Descriptor {
    const digest = digestOf(bytes)
    writeFileSync(join(this.folder, 'blobs', 'sha256', hexOf(digest)), bytes)
    return { mediaType, digest, size: bytes.length }
  }
}
