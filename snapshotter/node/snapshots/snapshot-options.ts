/** The options of the calls that make, commit and change snapshots. */
import type { Labels } from './snapshot.js'

export interface PrepareOptions {
  readonly key: string
  /** Name of a committed snapshot; undefined for a snapshot without parent. */
  readonly parent: string | undefined
  readonly labels: Labels
}

export interface CommitOptions {
  readonly name: string
  readonly key: string
  /** Replaces the active snapshot's labels. */
  readonly labels: Labels
  /** The parent for a snapshot that was prepared without one. */
  readonly parent: string | undefined
}

export interface UpdateOptions {
  readonly key: string
  readonly labels: Labels
  /** `labels` or `labels.<label>`. Without paths, all labels are replaced. */
  readonly paths: readonly string[]
}
