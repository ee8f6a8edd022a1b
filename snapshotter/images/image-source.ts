/**
 * The seam to where images come from: a registry, a folder, an archive. All of them answer in terms
 * of OCI descriptors, whatever form the image is in, and verify what they hand out.
 */
import type { Descriptor, StoredManifest } from './registry/index.js'

export interface ImageSource {
  /** What messages call it. */
  readonly name: string
  /** Where the image is from, as a recipe says it: `library/redis:4@https://registry-1.docker.io/v2`. */
  readonly origin: string
  /** The image's name as `ctr` would list it, where the source knows one. */
  readonly imageName: string | undefined
  /** The manifest, or the index, that the source stands for. */
  root(signal: AbortSignal): Promise<StoredManifest>
  /** A manifest or a configuration; at most `maxBytes`. */
  document(descriptor: Descriptor, maxBytes: number, signal: AbortSignal): Promise<Uint8Array>
  /**
   * A blob's bytes in order. Throws `invalid-content` at the end where size or digest are not the
   * descriptor's: what was made of the bytes must be thrown away then.
   */
  blob(descriptor: Descriptor, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Idempotent; removes temporary files. */
  close(): Promise<void>
}
