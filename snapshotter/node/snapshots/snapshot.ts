/** A snapshot, as the database stores it. Words and meanings are containerd's. */
import type { ThinLayer, Usage } from './thin-layers.js'

export type Kind = 'view' | 'active' | 'committed'

export type Labels = Readonly<Record<string, string>>

export interface Snapshot {
  /** The name of the snapshot's directory. An id is never used again. */
  readonly id: number
  /** The name of a committed snapshot, the key of any other. Both share one name space. */
  readonly key: string
  readonly kind: Kind
  /** The parent's key; undefined for a snapshot without parent. */
  readonly parent: string | undefined
  /** No label has an empty value: setting a label to the empty string removes it. */
  readonly labels: Labels
  /** Nanoseconds since 1970. For a committed snapshot, the time of the commit. */
  readonly createdNs: bigint
  /** Nanoseconds since 1970. Equal to `createdNs` until the first update. */
  readonly updatedNs: bigint
  /** Measured at commit. Zero for a snapshot that is not committed. */
  readonly usage: Usage
  /** Set if the snapshot is committed and its layer is thin. */
  readonly thin: ThinLayer | undefined
}
