/**
 * The interface of destinations of images. The caller writes blobs first, then the manifests that
 * name them, and the name of the image last. A process that is killed in between leaves no manifest
 * that names a missing blob.
 */
import type { Digest } from '../../index-format/index.js'
import type { Platform } from './registry/index.js'

export interface ImageDestination {
  /** Name of the destination in messages. */
  readonly name: string
  /**
   * Writes a small blob: a configuration or a thin layer. An existing blob is not written again.
   */
  putBlob(bytes: Uint8Array, signal: AbortSignal): Promise<Digest>
  /** Writes the manifest of one platform, or a manifest that refers to the image. */
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
