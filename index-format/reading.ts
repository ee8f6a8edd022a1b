/**
 * The exports for a thread that only reads indexes. Importing index.ts loads every module of this
 * layer: a dispatcher thread would then hold megabytes of code that it never runs.
 */
export { type Digest, bytesFromDigest, digestFromBytes, digestFromString, hexOf } from './digest.js'
export { IndexFormatError } from './errors.js'
export { Index } from './index/index-file.js'
export { PageCache } from './index/pages/page-cache.js'
export { firstExtentEndingAfter } from './tree/extent-search.js'
export { ROOT_INO } from './tree/tree.js'
