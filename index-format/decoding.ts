/**
 * The exports for a thread that only decompresses and verifies frames. reading.ts says why such a
 * thread does not import index.ts.
 */
export { IndexFormatError } from './errors.js'
export { decodeFrame } from './pack/frame-codec.js'
export type { Frame } from './pack/pack-table.js'
