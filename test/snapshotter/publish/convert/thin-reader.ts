/** Reads a thin image (recipe, index, packs) over HTTP only, as a node does. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { decompress as unzstd } from 'zstd-napi'
import {
  type Digest,
  Index,
  type IndexRef,
  ROOT_INO,
  type Recipe,
  decodeFrame,
  digestOf,
  recipeFromBytes,
} from '../../../../index-format/index.js'

export interface Manifest {
  readonly mediaType: string
  readonly annotations?: Record<string, string>
  readonly config: { digest: Digest; size: number }
  readonly layers: { digest: Digest; size: number; mediaType: string }[]
  readonly subject?: { digest: Digest }
  readonly artifactType?: string
}

export interface ImageConfig {
  readonly config: { Env: string[]; Cmd: string[]; Labels: Record<string, string> }
  readonly rootfs: { diff_ids: Digest[] }
  readonly history: { empty_layer?: boolean; created_by?: string }[]
}

export class ThinReader {
  readonly #base: string

  /** `base` is `http://host/v2/repository`. */
  constructor(base: string) {
    this.#base = base
  }

  async manifest(reference: string): Promise<Manifest> {
    const headers = {
      accept: 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json',
    }
    const answer = await fetch(`${this.#base}/manifests/${reference}`, { headers })
    if (!answer.ok) throw new Error(`manifest ${reference}: HTTP ${answer.status}`)
    return (await answer.json()) as Manifest
  }

  async blob(digest: Digest): Promise<Buffer> {
    const answer = await fetch(`${this.#base}/blobs/${digest}`)
    if (!answer.ok) throw new Error(`blob ${digest}: HTTP ${answer.status}`)
    const bytes = Buffer.from(await answer.arrayBuffer())
    if (digestOf(bytes) !== digest) throw new Error(`blob ${digest}: wrong bytes`)
    return bytes
  }

  async config(manifest: Manifest): Promise<ImageConfig> {
    return JSON.parse((await this.blob(manifest.config.digest)).toString()) as ImageConfig
  }

  /** The members of the thin layer, and the digest of its tar. */
  async layer(manifest: Manifest): Promise<{ files: Map<string, Buffer>; diffId: Digest }> {
    const [layer, ...others] = manifest.layers
    if (layer === undefined || others.length > 0) throw new Error('a thin image has one layer')
    const tar = gunzipSync(await this.blob(layer.digest))
    const files = new Map<string, Buffer>()
    for (let at = 0; tar[at] !== 0 && at < tar.length;) {
      const name = tar.toString('latin1', at, tar.indexOf(0, at))
      const size = parseInt(tar.toString('latin1', at + 124, at + 135), 8)
      files.set(name, tar.subarray(at + 512, at + 512 + size))
      at += 512 + Math.ceil(size / 512) * 512
    }
    return { files, diffId: digestOf(tar) }
  }

  async recipe(manifest: Manifest): Promise<Recipe> {
    const { files } = await this.layer(manifest)
    return recipeFromBytes(files.get('thin.json') ?? Buffer.alloc(0))
  }

  /** Writes an index into `folder` and opens it. The caller closes it. */
  async index(ref: IndexRef, folder: string): Promise<Index> {
    const bytes = unzstd(await this.blob(ref.blob.digest))
    if (digestOf(bytes) !== ref.digest) throw new Error(`index ${ref.digest}: wrong bytes`)
    const path = join(folder, `${ref.digest.slice(7, 19)}-${Math.random()}.index`)
    writeFileSync(path, bytes)
    return Index.open(path)
  }

  /**
   * Returns a file's content and verifies each frame. Returns `undefined` if there is no such file.
   */
  async file(index: Index, path: string): Promise<Buffer | undefined> {
    let ino: number | undefined = ROOT_INO
    for (const name of path.split('/')) {
      ino = ino === undefined ? undefined : index.lookup(ino, Buffer.from(name))
    }
    if (ino === undefined) return undefined
    const content = Buffer.alloc(index.inode(ino)?.sizeBytes ?? 0)
    for (const extent of index.extents(ino)) {
      const table = index.packTable(extent.pack)
      const pack = await this.blob(table.digest)
      for (const frame of table.frames) {
        const raw = decodeFrame(frame, pack.subarray(frame.offset, frame.offset + frame.sizeBytes))
        const from = Math.max(frame.rawOffset, extent.rawOffset)
        const to = Math.min(frame.rawOffset + frame.rawSizeBytes, extent.rawOffset + extent.length)
        if (from >= to) continue
        const target = extent.offset + from - extent.rawOffset
        content.set(raw.subarray(from - frame.rawOffset, to - frame.rawOffset), target)
      }
    }
    return content
  }
}
