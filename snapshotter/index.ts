export { SnapshotterError, type SnapshotterErrorCode } from './errors.js'
