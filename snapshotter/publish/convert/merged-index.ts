/** The merged index of one image, as it is in the store, and what goes with it for a faster start. */
import type { Digest } from '../../../index-format/index.js'
import type { KnownIndex } from './publish-database.js'

export interface MergedIndex {
  readonly index: KnownIndex
  /** The packs it refers to: content that upper layers hide is not among them. */
  readonly packs: readonly { readonly digest: Digest; readonly sizeBytes: number }[]
  readonly reused: boolean
  /** Where profiles were given. */
  readonly startup?: PublishedStartup
  /** Where none were, and something could be guessed. */
  readonly guess?: GuessedStart
}

/** What the thin layer and its recipe say about a start. */
export interface PublishedStartup {
  /** The startup plan, as the thin layer holds it. */
  readonly plan: Uint8Array
  /** The startup packs, in the order in which they are to be fetched. */
  readonly packs: readonly { readonly digest: Digest; readonly sizeBytes: number }[]
  /** The startup pages of the index, where they are to travel instead of it. */
  readonly pages?: Uint8Array
}

/** What a start of the image is guessed to read. */
export interface GuessedStart {
  /** The guess as a profile. */
  readonly bytes: Uint8Array
  /** Size of the content that the profile names, uncompressed. */
  readonly rawBytes: number
}
