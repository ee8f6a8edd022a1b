/**
 * The small door: what a thread needs that only reads indexes. index.ts has everything, and with it
 * every module of the layer; a dispatcher thread would hold megabytes of code that it never runs.
 */
export { type Digest, bytesFromDigest, digestFromBytes, digestFromString, hexOf } from './digest.js'
export { IndexFormatError } from './errors.js'
export { Index } from './index/index-file.js'
export { PageCache } from './index/pages/page-cache.js'
export { firstExtentEndingAfter } from './tree/extent-search.js'
export { ROOT_INO } from './tree/tree.js'
