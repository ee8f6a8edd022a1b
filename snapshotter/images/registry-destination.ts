/** An image that is written to a registry. */
import { type Digest, digestOf } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import {
  type ImageReference,
  type RegistryConnection,
  type Repository,
  formatReference,
} from './registry/index.js'
import type { ImageDestination, NewManifest } from './image-destination.js'

export class RegistryDestination implements ImageDestination {
  readonly name: string
  /** The repository, for blobs and manifests that are written beside the image. */
  readonly repository: Repository
  readonly #tag: string

  private constructor(name: string, repository: Repository, tag: string) {
    this.name = name
    this.repository = repository
    this.#tag = tag
  }

  /**
   * Throws `invalid-argument` for a reference with a digest or without a tag. The caller closes the
   * connection.
   */
  static open(
    reference: ImageReference,
    modules: { connection: RegistryConnection },
  ): RegistryDestination {
    const name = formatReference(reference)
    if (reference.digest !== undefined || reference.tag === undefined) {
      throw new SnapshotterError(
        'invalid-argument',
        `destination ${name}: an image is written under a tag; what digest it gets is not chosen`,
      )
    }
    const { registry, repository } = reference
    return new RegistryDestination(
      name,
      modules.connection.repository(registry, repository),
      reference.tag,
    )
  }

  async putBlob(bytes: Uint8Array, signal: AbortSignal): Promise<Digest> {
    const digest = digestOf(bytes)
    if ((await this.repository.blobSize(digest, signal)) !== undefined) return digest
    const open = (): Uint8Array => bytes
    await this.repository.putBlob({ digest, sizeBytes: bytes.length, open }, signal)
    return digest
  }

  putManifest(manifest: NewManifest, signal: AbortSignal): Promise<Digest> {
    return this.repository.putManifest(digestOf(manifest.bytes), manifest, signal)
  }

  publish(root: NewManifest, signal: AbortSignal): Promise<Digest> {
    return this.repository.putManifest(this.#tag, root, signal)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
