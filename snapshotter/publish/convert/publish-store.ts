/**
 * The interface of a place for packs and indexes. A blob is in the store when `put` returns, and
 * stays there when `keep` has returned. Before that, a registry's garbage collection may remove it.
 */
import type { Digest } from '../../../index-format/index.js'
import type { BlobContent, Descriptor } from '../../images/registry/index.js'

export interface PublishStore {
  /**
   * URL to which this process writes. Messages and the publisher's database use it as the store's
   * name.
   */
  readonly name: string
  /** URL from which nodes read. Recipes contain it. */
  readonly url: string
  /** The size of a blob that the store has, else `undefined`. */
  blobSize(digest: Digest, signal: AbortSignal): Promise<number | undefined>
  /**
   * Writes a blob, even if the store has it already. If `path` is set, the blob's bytes are in that
   * file, and the store may move the file away.
   */
  put(blob: BlobContent & { readonly path?: string }, signal: AbortSignal): Promise<void>
  /** Streams the bytes of a blob. Their digest is verified at the end of the stream. */
  read(blob: { digest: Digest; sizeBytes: number }, signal: AbortSignal): AsyncIterable<Uint8Array>
  /** Whether `adopt` can take blobs from the store named `from`. */
  canAdopt(from: string): boolean
  /**
   * Tries to take a blob over from a store of the same kind, without sending it. `from` is the name
   * of that store. Returns false if the blob has to be put.
   */
  adopt(digest: Digest, from: string, signal: AbortSignal): Promise<boolean>
  /**
   * Makes `blobs` last as long as the thin image whose manifest is `subject`. Returns the digest of
   * the manifest that it wrote for this, or `undefined` if the store needs none.
   */
  keep(
    subject: Descriptor,
    blobs: readonly Descriptor[],
    signal: AbortSignal,
  ): Promise<Digest | undefined>
  /** Idempotent. */
  close(): Promise<void>
}
