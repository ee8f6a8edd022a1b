export type { Authorizer, BlobRange, BlobSource } from './content/blob-source.js'
export { FusefsError, type FusefsErrorCode } from './errors.js'
