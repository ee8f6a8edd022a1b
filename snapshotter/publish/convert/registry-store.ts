/**
 * Stores content in a repository of a registry. An artifact manifest names every pack and index of
 * one thin image. So the registry's own garbage collection keeps them, and its replication copies
 * them.
 */
import { type Digest, digestOf, hexOf } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import {
  type BlobContent,
  type Descriptor,
  MAX_MANIFEST_BYTES,
  OCI_EMPTY,
  OCI_MANIFEST,
  type Repository,
  THIN_CONTENT,
  descriptorToJson,
} from '../../images/registry/index.js'
import type { PublishStore } from './publish-store.js'

const EMPTY = Buffer.from('{}')

export class RegistryStore implements PublishStore {
  readonly name: string
  readonly url: string
  readonly #repository: Repository

  /** `url` is the URL for recipes. Default: the URL to which this process writes. */
  constructor(repository: Repository, url?: string) {
    this.#repository = repository
    this.name = `oci+${repository.origin}/${repository.repository}`
    this.url = url ?? this.name
  }

  blobSize(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    return this.#repository.blobSize(digest, signal)
  }

  put(blob: BlobContent, signal: AbortSignal): Promise<void> {
    return this.#repository.putBlob(blob, signal)
  }

  read(
    blob: { digest: Digest; sizeBytes: number },
    signal: AbortSignal,
  ): AsyncIterable<Uint8Array> {
    return this.#repository.blob({ ...blob, mediaType: 'application/octet-stream' }, signal)
  }

  canAdopt(from: string): boolean {
    return from.startsWith(`oci+${this.#repository.origin}/`) && from !== this.name
  }

  async adopt(digest: Digest, from: string, signal: AbortSignal): Promise<boolean> {
    if (!this.canAdopt(from)) return false
    const repository = from.slice(`oci+${this.#repository.origin}/`.length)
    return this.#repository.mountBlob(digest, repository, signal)
  }

  async keep(
    subject: Descriptor,
    blobs: readonly Descriptor[],
    signal: AbortSignal,
  ): Promise<Digest> {
    const config: Descriptor = {
      mediaType: OCI_EMPTY,
      digest: digestOf(EMPTY),
      sizeBytes: EMPTY.length,
    }
    const { mediaType, digest, sizeBytes } = subject
    const manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: THIN_CONTENT,
      config: descriptorToJson(config),
      layers: (blobs.length === 0 ? [config] : blobs).map(descriptorToJson),
      subject: descriptorToJson({ mediaType, digest, sizeBytes }),
    }
    const bytes = Buffer.from(JSON.stringify(manifest))
    if (bytes.length > MAX_MANIFEST_BYTES) {
      throw new SnapshotterError(
        'invalid-content',
        `content of ${subject.digest}: ${blobs.length} blobs do not fit into one manifest of ` +
          `${MAX_MANIFEST_BYTES} bytes`,
      )
    }
    if ((await this.#repository.blobSize(config.digest, signal)) === undefined) {
      const { digest: emptyDigest, sizeBytes: emptyBytes } = config
      const open = (): Uint8Array => EMPTY
      await this.#repository.putBlob({ digest: emptyDigest, sizeBytes: emptyBytes, open }, signal)
    }
    return this.#repository.putManifest(
      contentTag(digest),
      { mediaType: OCI_MANIFEST, bytes },
      signal,
    )
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/**
 * The tag of the artifact that keeps the content of a thin image's manifest. It depends on the
 * manifest's digest alone, so that the artifact is found in registries without the referrers API
 * too.
 */
export function contentTag(manifest: Digest): string {
  return `sha256-${hexOf(manifest)}.thin`
}
