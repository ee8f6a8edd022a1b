/** What a conversion tells, in `--json` as it stands here. */
import type { Digest, IndexRef } from '../../../index-format/index.js'
import type { Platform } from '../../images/registry/index.js'
import type { PublishStats } from './blob-publisher.js'
import type { ConvertStage } from './stage-clock.js'

interface LayerResult {
  /** Of the original blob. */
  readonly digest: Digest
  readonly diffId: Digest
  /** Of the original blob. */
  readonly sizeBytes: number
  /** Of the uncompressed tar; 0 for a reused layer. */
  readonly rawBytes: number
  readonly index: IndexRef
  /** The layer's index and packs were in the store before. */
  readonly reused: boolean
}

export interface PlatformResult {
  readonly platform: Platform
  /** Of the thin manifest. */
  readonly digest: Digest
  /** Of the manifest that keeps the content; absent where the store needs none. */
  readonly content?: Digest
  /** Bottom first. */
  readonly layers: readonly LayerResult[]
  readonly merged: IndexRef
  /** Startup packs and their size; absent without profiles. */
  readonly startup?: { readonly packs: number; readonly sizeBytes: number }
  /** What a start is guessed to read, uncompressed; absent where nothing was guessed. */
  readonly guess?: { readonly rawBytes: number }
  /** The original's layers, as they are compressed. */
  readonly originalBytes: number
  /** Every pack and index the thin image refers to, once. */
  readonly contentBytes: number
  readonly packs: number
  /** Manifest, configuration and layer of the thin image. */
  readonly thinBytes: number
}

export interface ConvertResult {
  readonly source: string
  readonly destination: string
  /** What recipes call the store. */
  readonly store: string
  /** Of what the destination's name stands for: an index, or the only manifest. */
  readonly digest: Digest
  readonly platforms: readonly PlatformResult[]
  readonly published: PublishStats
  /** Stages overlap. */
  readonly stageMs: Partial<Record<ConvertStage, number>>
  readonly elapsedMs: number
  /** Of this process since it began. */
  readonly peakRssBytes: number
}
