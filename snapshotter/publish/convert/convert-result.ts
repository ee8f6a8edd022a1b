/** The result of a conversion. `--json` prints it in this form. */
import type { Digest, IndexRef } from '../../../index-format/index.js'
import type { Platform } from '../../images/registry/index.js'
import type { PublishStats } from './blob-publisher.js'
import type { ConvertStage } from './stage-clock.js'

interface LayerResult {
  /** Digest of the original blob. */
  readonly digest: Digest
  readonly diffId: Digest
  /** Size of the original blob. */
  readonly sizeBytes: number
  /** Size of the uncompressed tar; 0 for a reused layer. */
  readonly rawBytes: number
  readonly index: IndexRef
  /** Whether the layer's index and packs were in the store before. */
  readonly reused: boolean
}

export interface PlatformResult {
  readonly platform: Platform
  /** Digest of the thin manifest. */
  readonly digest: Digest
  /** Digest of the manifest that keeps the content; absent if the store needs none. */
  readonly content?: Digest
  /** Bottom first. */
  readonly layers: readonly LayerResult[]
  readonly merged: IndexRef
  /** Number of startup packs and their size; absent without profiles. */
  readonly startup?: { readonly packs: number; readonly sizeBytes: number }
  /** Uncompressed size of the guessed profile's content; absent if there is no guess. */
  readonly guess?: { readonly rawBytes: number }
  /** Compressed size of the original's layers. */
  readonly originalBytes: number
  /** Size of all packs and indexes that the thin image refers to, each counted once. */
  readonly contentBytes: number
  readonly packs: number
  /** Size of the thin image: manifest, configuration and layer. */
  readonly thinBytes: number
}

export interface ConvertResult {
  readonly source: string
  readonly destination: string
  /** The URL of the store in recipes. */
  readonly store: string
  /** Digest of the index, or of the only manifest, that the destination's name stands for. */
  readonly digest: Digest
  readonly platforms: readonly PlatformResult[]
  readonly published: PublishStats
  /** Time of each stage. Stages overlap. */
  readonly stageMs: Partial<Record<ConvertStage, number>>
  readonly elapsedMs: number
  /** Peak of this process since it began. */
  readonly peakRssBytes: number
}
