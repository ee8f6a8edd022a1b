/**
 * The seam to where packs and indexes are put. A blob is in the store when `put` returns, and stays
 * there when `keep` has returned: before that, a registry's garbage collection may remove it.
 */
import type { Digest } from '../../../index-format/index.js'
import type { BlobContent, Descriptor } from '../../images/registry/index.js'

export interface PublishStore {
  /** Where this process writes to: what messages and the publisher's database call it. */
  readonly name: string
  /** Where nodes read from: what a recipe calls it. */
  readonly url: string
  /** The size of a blob that is there, else `undefined`. */
  blobSize(digest: Digest, signal: AbortSignal): Promise<number | undefined>
  /**
   * Writes a blob, whether it is there already or not. A blob with a `path` is in that file, which
   * the store may move away.
   */
  put(blob: BlobContent & { readonly path?: string }, signal: AbortSignal): Promise<void>
  /** A blob's bytes, verified at their end. */
  read(blob: { digest: Digest; sizeBytes: number }, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Whether `adopt` could do anything with the store of this name. */
  canAdopt(from: string): boolean
  /**
   * Tries to get a blob from a store of the same kind without sending it. `from` is that store's
   * name. False: it has to be put.
   */
  adopt(digest: Digest, from: string, signal: AbortSignal): Promise<boolean>
  /**
   * Makes `blobs` last as long as the thin image whose manifest is `subject`. Returns the digest of
   * what it wrote for that, if it had to write anything.
   */
  keep(
    subject: Descriptor,
    blobs: readonly Descriptor[],
    signal: AbortSignal,
  ): Promise<Digest | undefined>
  /** Idempotent. */
  close(): Promise<void>
}
