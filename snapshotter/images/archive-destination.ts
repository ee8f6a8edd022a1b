/**
 * An image that is written to one file, for `ctr images import`: an OCI layout as a tar archive.
 * Blobs are held in memory until `close`, so the image's size is limited. A thin image is small,
 * because its content is in a store.
 */
import { type Digest, digestOf, hexOf } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { OCI_INDEX, descriptorToJson } from './registry/index.js'
import { writeDurably } from './durable-file.js'
import type { ImageDestination, NewManifest } from './image-destination.js'
import { CONTAINERD_IMAGE_NAME, REF_NAME } from './oci-layout.js'
import { ustarEnd, ustarHeader, ustarPadding } from './ustar.js'

/** Enough for all platforms of a thin image with their embedded indexes. */
const MAX_HELD_BYTES = 256 * 1024 * 1024

export class ArchiveDestination implements ImageDestination {
  readonly name: string
  readonly #path: string
  readonly #imageName: string
  readonly #blobs = new Map<Digest, Uint8Array>()
  #heldBytes = 0

  /** `imageName` is the full name that the imported image gets. `publish` writes the file. */
  constructor(path: string, imageName: string) {
    this.#path = path
    this.#imageName = imageName
    this.name = `oci-archive:${path}:${imageName}`
  }

  putBlob(bytes: Uint8Array): Promise<Digest> {
    const digest = digestOf(bytes)
    if (!this.#blobs.has(digest)) {
      this.#heldBytes += bytes.length
      if (this.#heldBytes > MAX_HELD_BYTES) {
        throw new SnapshotterError(
          'invalid-argument',
          `${this.name}: the thin image has more than ${MAX_HELD_BYTES} bytes; write it to a registry or a folder`,
        )
      }
      this.#blobs.set(digest, bytes)
    }
    return Promise.resolve(digest)
  }

  putManifest(manifest: NewManifest): Promise<Digest> {
    return this.putBlob(manifest.bytes)
  }

  async publish(root: NewManifest): Promise<Digest> {
    const digest = await this.putBlob(root.bytes)
    const colon = this.#imageName.lastIndexOf(':')
    const tag = colon > this.#imageName.lastIndexOf('/') ? this.#imageName.slice(colon + 1) : ''
    const descriptor = {
      mediaType: root.mediaType,
      digest,
      sizeBytes: root.bytes.length,
      annotations: {
        [CONTAINERD_IMAGE_NAME]: this.#imageName,
        [REF_NAME]: tag === '' ? 'latest' : tag,
      },
      ...(root.platform === undefined ? {} : { platform: root.platform }),
    }
    const index = {
      schemaVersion: 2,
      mediaType: OCI_INDEX,
      manifests: [descriptorToJson(descriptor)],
    }
    const members: [string, Uint8Array][] = [
      ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
      ['index.json', Buffer.from(JSON.stringify(index))],
      ...[...this.#blobs].map(([key, bytes]): [string, Uint8Array] => [
        `blobs/sha256/${hexOf(key)}`,
        bytes,
      ]),
    ]
    await writeDurably(this.#path, async (file) => {
      for (const [name, bytes] of members) {
        await file.writeFile(ustarHeader(name, bytes.length))
        await file.writeFile(bytes)
        await file.writeFile(ustarPadding(bytes.length))
      }
      await file.writeFile(ustarEnd())
    })
    return digest
  }

  close(): Promise<void> {
    this.#blobs.clear()
    return Promise.resolve()
  }
}
