export {
  type Digest,
  bytesFromDigest,
  digestFromBytes,
  digestFromString,
  digestOf,
  hexOf,
  isDigest,
} from './digest.js'
export { IndexFormatError, type IndexFormatErrorCode } from './errors.js'
export type { Frame, PackTable } from './pack/pack-table.js'
export type { RandomAccess } from './random-access.js'
export {
  type DirEntry,
  type Extent,
  type Inode,
  ROOT_INO,
  type Tree,
  type Xattr,
} from './tree/tree.js'
