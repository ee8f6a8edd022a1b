import assert from 'node:assert/strict'
import { createReadStream, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { Readable } from 'node:stream'
import { decompress } from '../../../../index-format/index.js'
import {
  compressIndex,
  compressStartupIndex,
} from '../../../../snapshotter/publish/convert/index-blob.js'

const { signal } = new AbortController()

/**
 * Makes rows like those of an index: short numbers that increase, and names that resemble each
 * other.
 */
function rows(count: number): Buffer {
  const parts: Buffer[] = []
  for (let row = 0; row < count; row++) {
    const fixed = Buffer.alloc(12)
    fixed.writeUInt32BE(row)
    fixed.writeUInt32BE((row * 2_654_435_761) % 65_536, 4)
    parts.push(fixed, Buffer.from(`lib${String((row * 7919) % 4093)}.so.${String(row % 9)}`))
  }
  return Buffer.concat(parts)
}

describe('the blob of an index', () => {
  let folder: string
  const file = (name: string): string => join(folder, name)

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'thin-index-blob-'))
  })

  afterEach(() => {
    rmSync(folder, { recursive: true, force: true })
  })

  it('is smaller beside a recorded start, and the same index', async () => {
    const index = rows(20_000)
    writeFileSync(file('index'), index)
    const usual = await compressIndex(file('index'), file('usual'), signal)
    const startup = await compressStartupIndex(file('index'), file('startup'), signal)
    assert.ok(
      startup.sizeBytes < 0.97 * usual.sizeBytes,
      `${String(startup.sizeBytes)} bytes, ${String(usual.sizeBytes)} as usual`,
    )
    for (const { path } of [usual, startup]) {
      const raw = Readable.from(decompress(createReadStream(path)), { objectMode: false })
      assert.deepEqual(await buffer(raw), index)
    }
  })

  it('is as usual for an index whose compression would take long', async () => {
    writeFileSync(file('index'), rows(20_000))
    truncateSync(file('index'), 16 * 1024 ** 2 + 1)
    const usual = await compressIndex(file('index'), file('usual'), signal)
    const startup = await compressStartupIndex(file('index'), file('startup'), signal)
    assert.equal(startup.digest, usual.digest)
  })
})
