/**
 * The interface of sources of images: a registry, a folder, an archive. All sources use OCI
 * descriptors, whatever the form of the image, and verify the bytes that they return.
 */
import type { Descriptor, StoredManifest } from './registry/index.js'

export interface ImageSource {
  /** Name of the source in messages. */
  readonly name: string
  /** The recipe's `origin`, such as `library/redis:4@https://registry-1.docker.io/v2`. */
  readonly origin: string
  /** The image's name as `ctr` lists it; undefined where the source knows none. */
  readonly imageName: string | undefined
  /** The image's manifest, or its OCI index. */
  root(signal: AbortSignal): Promise<StoredManifest>
  /** A manifest or a configuration. Throws `invalid-content` where it has over `maxBytes` bytes. */
  document(descriptor: Descriptor, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>
  /**
   * A blob's bytes in order. Throws `invalid-content` at the end where size or digest are not the
   * descriptor's. The caller must then discard everything that it made from the bytes.
   */
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Closes files and removes temporary ones. Idempotent. */
  close(): Promise<void>
}
