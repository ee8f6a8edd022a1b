/**
 * An image that is written into an OCI layout folder. Other images in the folder stay. An image
 * with the same tag loses its name to the new one.
 */
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Digest, digestOf, hexOf } from '../../index-format/index.js'
import { systemErrorCode } from '../../index-format/system-error.js'
import { SnapshotterError } from '../errors.js'
import {
  type Descriptor,
  type ImageIndex,
  MAX_MANIFEST_BYTES,
  OCI_INDEX,
  descriptorToJson,
  parseManifest,
} from './registry/index.js'
import { writeDurably } from './durable-file.js'
import type { ImageDestination, NewManifest } from './image-destination.js'
import { REF_NAME } from './oci-layout.js'

export class LayoutDestination implements ImageDestination {
  readonly name: string
  readonly folder: string
  readonly #tag: string

  private constructor(folder: string, tag: string) {
    this.folder = folder
    this.name = `oci:${folder}:${tag}`
    this.#tag = tag
  }

  /**
   * Makes the folder where it is missing. `tag` is the image's name in `index.json`. Needs no
   * close.
   */
  static async open(folder: string, tag: string): Promise<LayoutDestination> {
    await mkdir(join(folder, 'blobs', 'sha256'), { recursive: true })
    await writeIfAbsent(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
    return new LayoutDestination(folder, tag)
  }

  async putBlob(bytes: Uint8Array, signal: AbortSignal): Promise<Digest> {
    signal.throwIfAborted()
    const digest = digestOf(bytes)
    await writeIfAbsent(join(this.folder, 'blobs', 'sha256', hexOf(digest)), bytes)
    return digest
  }

  putManifest(manifest: NewManifest, signal: AbortSignal): Promise<Digest> {
    return this.putBlob(manifest.bytes, signal)
  }

  /**
   * If two processes publish into one folder at the same time, one name may be lost, but no blob.
   */
  async publish(root: NewManifest, signal: AbortSignal): Promise<Digest> {
    const digest = await this.putBlob(root.bytes, signal)
    await this.addName(
      {
        mediaType: root.mediaType,
        digest,
        sizeBytes: root.bytes.length,
        ...(root.platform === undefined ? {} : { platform: root.platform }),
      },
      this.#tag,
    )
    return digest
  }

  /** Names a manifest that is in the folder already: adds it to `index.json` with `tag`. */
  async addName(descriptor: Descriptor, tag: string): Promise<void> {
    const path = join(this.folder, 'index.json')
    const old = await readIndex(path)
    const others = old.manifests.filter((one) => one.annotations?.[REF_NAME] !== tag)
    const annotations = { ...descriptor.annotations, [REF_NAME]: tag }
    const index = {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [...others, { ...descriptor, annotations }].map(descriptorToJson),
      ...(old.annotations === undefined ? {} : { annotations: old.annotations }),
    }
    await writeDurably(path, (file) => file.writeFile(JSON.stringify(index)))
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

async function writeIfAbsent(path: string, content: Uint8Array | string): Promise<void> {
  const found = await readFile(path).catch(() => undefined)
  if (found?.equals(Buffer.from(content)) === true) return
  await writeDurably(path, (file) => file.writeFile(content))
}

async function readIndex(path: string): Promise<ImageIndex> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(path)
  } catch (cause) {
    if (systemErrorCode(cause) === 'ENOENT') {
      return { kind: 'index', mediaType: OCI_INDEX, manifests: [] }
    }
    throw new SnapshotterError('internal', `read ${path}`, { cause })
  }
  const index = parseManifest(bytes, OCI_INDEX, path)
  if (index.kind === 'index' && bytes.length <= MAX_MANIFEST_BYTES) return index
  throw new SnapshotterError('invalid-content', `${path}: not an OCI index`)
}
