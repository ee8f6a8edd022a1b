export type { Authorizer, BlobRange, BlobSource } from './content/blob-source.js'
export {
  FRAME_ABSENT,
  FRAME_CLAIMED,
  FRAME_PRESENT,
  MirrorView,
  type MirrorShared,
} from './content/mirror-view.js'
export { FusefsError, type FusefsErrorCode } from './errors.js'
export type { Log } from './log.js'
