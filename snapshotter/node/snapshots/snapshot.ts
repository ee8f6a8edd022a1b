/** A snapshot, as the database has it. Words and meanings are containerd's. */
import type { ThinLayer, Usage } from './thin-layers.js'

export type Kind = 'view' | 'active' | 'committed'

export type Labels = Readonly<Record<string, string>>

export interface Snapshot {
  /** Never used again; the name of the snapshot's directory. */
  readonly id: number
  /** A committed snapshot's name, any other's key: both share one name space. */
  readonly key: string
  readonly kind: Kind
  /** The parent's key; undefined at the bottom of a chain. */
  readonly parent: string | undefined
  /** None has an empty value: setting one to the empty string removes it. */
  readonly labels: Labels
  /** Nanoseconds since 1970. Of a committed snapshot, when it was committed. */
  readonly createdNs: bigint
  /** Nanoseconds since 1970. Equal to `createdNs` until the first update. */
  readonly updatedNs: bigint
  /** Measured at commit; zero for any other. */
  readonly usage: Usage
  /** Set if the snapshot is committed and its layer is thin. */
  readonly thin: ThinLayer | undefined
}
