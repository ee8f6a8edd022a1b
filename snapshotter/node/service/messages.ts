/** Turns the store's snapshots into messages of the service. */
import { type SnapshotInfo, type SnapshotKind, timestampFromNs } from '../../../proto/index.js'
import type { Kind, Snapshot } from '../snapshots/snapshot.js'

const KINDS: Readonly<Record<Kind, SnapshotKind>> = {
  view: 'VIEW',
  active: 'ACTIVE',
  committed: 'COMMITTED',
}

export function infoFromSnapshot(snapshot: Snapshot): SnapshotInfo {
  return {
    name: snapshot.key,
    parent: snapshot.parent ?? '',
    kind: KINDS[snapshot.kind],
    createdAt: timestampFromNs(snapshot.createdNs),
    updatedAt: timestampFromNs(snapshot.updatedNs),
    labels: snapshot.labels,
  }
}
