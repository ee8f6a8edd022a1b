/**
 * Packs made for tests: frames of known sizes, with bytes that differ from frame to frame and can
 * be recomputed.
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compress } from 'zstd-napi'
import { digestOf, type Frame, hexOf, type PackTable } from '../../../index-format/index.js'

export interface PackFixture {
  readonly table: PackTable
  /** The bytes of the pack file. */
  readonly stored: Buffer
  /** The uncompressed bytes of all frames, one after the other. */
  readonly raw: Buffer
}

/**
 * Bytes that compress a little and hardly repeat: printable characters from a xorshift generator,
 * which starts from `seed`.
 */
export function noise(sizeBytes: number, seed: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes)
  let state = (seed * 2654435761 + 1) >>> 0
  for (let i = 0; i < sizeBytes; i++) {
    state ^= state << 13
    state >>>= 0
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    bytes[i] = 32 + (state & 63)
  }
  return bytes
}

/** Makes a pack with one frame for each size. */
export function packFixture(options: {
  frameSizes: readonly number[]
  seed?: number
}): PackFixture {
  const frames: Frame[] = []
  const raws: Buffer[] = []
  const pieces: Buffer[] = []
  let rawOffset = 0
  let offset = 0
  options.frameSizes.forEach((rawSizeBytes, i) => {
    const raw = noise(rawSizeBytes, (options.seed ?? 1) * 1000 + i)
    const compressed = compress(raw)
    frames.push({
      rawOffset,
      rawSizeBytes,
      offset,
      sizeBytes: compressed.length,
      digest: digestOf(raw),
    })
    raws.push(raw)
    pieces.push(compressed)
    rawOffset += rawSizeBytes
    offset += compressed.length
  })
  const stored = Buffer.concat(pieces)
  const table = { digest: digestOf(stored), sizeBytes: offset, rawSizeBytes: rawOffset, frames }
  return { table, stored, raw: Buffer.concat(raws) }
}

/** Writes packs to the paths that a static store has for them. */
export function storePacks(directory: string, packs: readonly PackFixture[]): void {
  const blobs = join(directory, 'blobs', 'sha256')
  mkdirSync(blobs, { recursive: true })
  for (const { table, stored } of packs) writeFileSync(join(blobs, hexOf(table.digest)), stored)
}
