/** The packs that the tests of the disk tier share with cache-filler-process.ts. */
import { type PackFixture, packFixture } from './pack-fixture.js'

const KIB = 1024

export const SAMPLE_FRAME_SIZES = [64 * KIB, 1, 200 * KIB, 100 * KIB, 64 * KIB, 300 * KIB]

/** Five packs of the same sizes and different bytes. */
export function samplePacks(): PackFixture[] {
  return [1, 2, 3, 4, 5].map((seed) => packFixture({ frameSizes: SAMPLE_FRAME_SIZES, seed }))
}
