/**
 * The small door of a thread that only decompresses and verifies frames; see reading.ts.
 */
export { IndexFormatError } from './errors.js'
export { decodeFrame } from './pack/frame-codec.js'
export type { Frame } from './pack/pack-table.js'
