/**
 * The merged index of one image in the store, and the startup data or the guess that belongs to it.
 */
import type { Digest } from '../../../index-format/index.js'
import type { KnownIndex } from './publish-database.js'

export interface MergedIndex {
  readonly index: KnownIndex
  /** The packs that the index refers to. It does not refer to content that upper layers hide. */
  readonly packs: readonly { readonly digest: Digest; readonly sizeBytes: number }[]
  /** Whether the index was in the store before. */
  readonly reused: boolean
  /** Present if the publisher gave profiles. */
  readonly startup?: PublishedStartup
  /** Present if the publisher gave no profiles and a start could be guessed. */
  readonly guess?: GuessedStart
}

/** A start that is published with the image, in the thin layer and its recipe. */
export interface PublishedStartup {
  /** The startup plan, as the thin layer holds it. */
  readonly plan: Uint8Array
  /** The startup packs, in the order in which a node fetches them. */
  readonly packs: readonly { readonly digest: Digest; readonly sizeBytes: number }[]
  /** The startup pages of the index. If present, the thin layer holds them instead of the index. */
  readonly pages?: Uint8Array
}

/** A guess of the content that a start of the image reads. */
export interface GuessedStart {
  /** The guess as a serialized profile. */
  readonly bytes: Uint8Array
  /** Uncompressed size in bytes of the content that the profile names. */
  readonly rawBytes: number
}
