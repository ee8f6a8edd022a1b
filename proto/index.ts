export { loadSnapshotsService, SNAPSHOTS_SERVICE } from './load.js'
export type {
  CleanupRequest,
  CommitRequest,
  Empty,
  InfoResponse,
  KeyRequest,
  ListRequest,
  ListResponse,
  Mount,
  MountsResponse,
  PrepareRequest,
  SnapshotInfo,
  SnapshotKind,
  UpdateRequest,
  UsageResponse,
} from './snapshots.js'
export { nsFromTimestamp, type Timestamp, timestampFromNs } from './timestamp.js'
