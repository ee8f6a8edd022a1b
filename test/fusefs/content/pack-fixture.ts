/** Packs made for tests: frames of known sizes whose bytes can be told apart and recomputed. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { compress } from 'zstd-napi'
import { digestOf, type Frame, hexOf, type PackTable } from '../../../index-format/index.js'

export interface PackFixture {
  readonly table: PackTable
  /** The pack file. */
  readonly stored: Buffer
  /** What the frames hold, one after the other. */
  readonly raw: Buffer
}

/** Bytes that compress somewhat and differ at every place: a xorshift of seed and position, in text. */
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

/** A pack with a frame for each size. */
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

/** Puts packs where a static store has them. */
export function storePacks(directory: string, packs: readonly PackFixture[]): void {
  const blobs = join(directory, 'blobs', 'sha256')
  mkdirSync(blobs, { recursive: true })
  for (const { table, stored } of packs) writeFileSync(join(blobs, hexOf(table.digest)), stored)
}
