/**
 * The seam to where images go. Blobs come before the manifests that name them, and the name of the
 * image last: whoever is killed on the way leaves nothing behind that refers to what is missing.
 */
import type { Digest } from '../../index-format/index.js'
import type { Platform } from './registry/index.js'

export interface ImageDestination {
  /** What messages call it. */
  readonly name: string
  /** Writes a small blob: configuration, thin layer. One that is there already is left alone. */
  putBlob(bytes: Uint8Array, signal: AbortSignal): Promise<Digest>
  /** Writes the manifest of one platform, or of something that refers to the image. */
  putManifest(manifest: NewManifest, signal: AbortSignal): Promise<Digest>
  /** Gives the image its name. The last call before `close`. */
  publish(root: NewManifest, signal: AbortSignal): Promise<Digest>
  /** Idempotent. Without `publish` before it, the image does not appear. */
  close(): Promise<void>
}

export interface NewManifest {
  readonly mediaType: string
  readonly bytes: Uint8Array
  readonly platform?: Platform
}
