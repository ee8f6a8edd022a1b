import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { ThreadFrameDecoder } from '../../../fusefs/index.js'
import { IndexFormatError } from '../../../index-format/index.js'
import { noise, packFixture } from './pack-fixture.js'
import { createTestLog } from './test-log.js'

const sizes = [100, 8192, 300_000, 1_000_000, 70_000, 300_001]
const { table, stored, raw } = packFixture({ frameSizes: sizes })

describe('ThreadFrameDecoder', () => {
  let decoder: ThreadFrameDecoder
  const compressedOf = (at: number): Uint8Array => {
    const frame = table.frames[at]
    assert.ok(frame)
    return new Uint8Array(stored.subarray(frame.offset, frame.offset + frame.sizeBytes))
  }

  beforeEach(async () => {
    decoder = ThreadFrameDecoder.start({ threads: 2 }, { log: createTestLog() })
    await isTaking()
  })

  afterEach(async () => {
    await decoder.close()
  })

  it('decodes frames of all sizes, many at once, in memory of their own', async () => {
    const rounds = Array.from({ length: 10 }, () => table.frames).flat()
    const decoded = await Promise.all(
      rounds.map((frame, i) => decoder.decode(frame, compressedOf(i % table.frames.length))),
    )
    for (const [i, bytes] of decoded.entries()) {
      const { rawOffset, rawSizeBytes } = rounds[i] ?? { rawOffset: 0, rawSizeBytes: 0 }
      assert.deepEqual(Buffer.from(bytes), raw.subarray(rawOffset, rawOffset + rawSizeBytes))
      assert.equal(bytes.buffer.byteLength, rawSizeBytes)
    }
    assert.equal(decoder.load, 0)
  })

  it('takes the memory of a large frame over, and leaves shared memory alone', async () => {
    const [, , frame] = table.frames
    assert.ok(frame)
    const own = compressedOf(2)
    await decoder.decode(frame, own)
    assert.equal(own.length, 0)
    const part = stored.subarray(frame.offset, frame.offset + frame.sizeBytes)
    await decoder.decode(frame, part)
    assert.equal(part.length, frame.sizeBytes)
  })

  it('refuses what is not the frame, as the inline decoder does', async () => {
    const [, , frame] = table.frames
    assert.ok(frame)
    const wrong = { ...frame, digest: table.digest }
    const isMismatch = (error: unknown): boolean =>
      error instanceof IndexFormatError && error.code === 'digest-mismatch'
    await assert.rejects(decoder.decode(wrong, compressedOf(2)), isMismatch)
    const isInvalid = (error: unknown): boolean =>
      error instanceof IndexFormatError && error.code === 'invalid-pack'
    await assert.rejects(decoder.decode(frame, noise(frame.sizeBytes, 7)), isInvalid)
    await decoder.decode(frame, compressedOf(2))
  })

  it('verifies bytes of any size', async () => {
    for (const frame of table.frames) {
      const bytes = raw.subarray(frame.rawOffset, frame.rawOffset + frame.rawSizeBytes)
      assert.equal(await decoder.verify(frame, bytes), true)
      assert.equal(await decoder.verify(frame, bytes.subarray(1)), false)
      assert.equal(await decoder.verify(frame, noise(frame.rawSizeBytes, 99)), false)
    }
  })

  it('rejects what is under way when it is closed, and what comes later', async () => {
    const [, , , frame] = table.frames
    assert.ok(frame)
    const pending = Array.from({ length: 8 }, () => decoder.decode(frame, compressedOf(3)))
    const outcomes = Promise.allSettled(pending)
    await decoder.close()
    assert.ok((await outcomes).some(({ status }) => status === 'rejected'))
    await assert.rejects(decoder.decode(frame, compressedOf(3)), { code: 'aborted' })
  })

  /**
   * Waits until a thread has started. Before that, frames are decoded in place. A thread takes over
   * the memory of the compressed bytes, so their length becomes 0.
   */
  async function isTaking(): Promise<void> {
    const [, , frame] = table.frames
    assert.ok(frame)
    for (let tries = 0; tries < 500; tries++) {
      const compressed = compressedOf(2)
      await decoder.decode(frame, compressed)
      if (compressed.length === 0) return
      await sleep(10)
    }
    throw new Error('no thread started')
  }
})
