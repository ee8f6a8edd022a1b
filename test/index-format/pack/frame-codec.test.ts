import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { decodeFrame, digestOf, type Frame } from '../../../index-format/index.js'
import { FrameEncoder } from '../../../index-format/pack/frame-codec.js'
import { Random } from './random.js'

const MIB = 1024 * 1024

function frameOf(raw: Uint8Array, compressed: Uint8Array): Frame {
  return {
    rawOffset: 0,
    rawSizeBytes: raw.length,
    offset: 0,
    sizeBytes: compressed.length,
    digest: digestOf(raw),
  }
}

/** Compresses `raw` with the zstd program, into frames that this project would not write. */
function zstd(raw: Uint8Array, ...options: string[]): Buffer {
  return execFileSync('zstd', ['-q', '-c', ...options], { input: raw, maxBuffer: 64 * MIB })
}

describe('decodeFrame', () => {
  const raw = new Random(4).bytes(5000, 12)
  const compressed = new FrameEncoder().encode(raw, 3)
  const frame = frameOf(raw, compressed)

  it('gives back what was encoded, at any level and size', () => {
    const encoder = new FrameEncoder()
    const random = new Random(5)
    for (const level of [1, 3, 19, 9, 3]) {
      for (const size of [1, 255, 256, 65_536, level === 19 ? 300_000 : 4 * MIB]) {
        const content = random.bytes(size, 40)
        const encoded = encoder.encode(content, level)
        assert.deepEqual(
          encoded,
          new FrameEncoder().encode(content, level),
          'history leaves no trace',
        )
        assert.ok(Buffer.from(decodeFrame(frameOf(content, encoded), encoded)).equals(content))
      }
    }
  })

  it('refuses content with another digest', () => {
    const other = { ...frame, digest: digestOf(Buffer.from('other')) }
    assert.throws(() => decodeFrame(other, compressed), { code: 'digest-mismatch' })
  })

  it('refuses a frame that claims more, or less, than the table', () => {
    for (const rawSizeBytes of [4999, 5001, 1, 4 * MIB]) {
      const claim = { ...frame, rawSizeBytes }
      assert.throws(() => decodeFrame(claim, compressed), { code: 'invalid-pack' })
    }
  })

  it('refuses a table that claims no size, or more than a frame may have, before allocating', () => {
    for (const rawSizeBytes of [0, -1, NaN, 0.5, 4 * MIB + 1, 2 ** 40]) {
      const claim = { ...frame, rawSizeBytes }
      assert.throws(() => decodeFrame(claim, compressed), { code: 'invalid-pack' })
    }
  })

  it('refuses a bomb: gigabytes behind a modest claim', () => {
    const zeroes = Buffer.alloc(32 * MIB)
    const honest = zstd(zeroes, '--no-check', `--stream-size=${zeroes.length}`)
    const claim = { ...frameOf(zeroes, honest), rawSizeBytes: 4 * MIB }
    assert.throws(() => decodeFrame(claim, honest), {
      code: 'invalid-pack',
      message: /header says 33554432 raw bytes/,
    })
    // The same with a false size in the header. RFC 8878, 3.1.1.1: the size follows magic,
    // descriptor and window descriptor.
    const lying = Buffer.from(honest)
    assert.equal(lying.readUInt32LE(6), zeroes.length)
    lying.writeUInt32LE(4 * MIB, 6)
    assert.throws(
      () => decodeFrame(claim, lying),
      (cause) => cause instanceof Error && !cause.message.includes('header says'),
    )
  })

  it('refuses a frame without its content size in the header', () => {
    const streamed = execFileSync('sh', ['-c', 'cat | zstd -q -c'], { input: raw })
    assert.throws(() => decodeFrame(frameOf(raw, streamed), streamed), { code: 'invalid-pack' })
  })

  it('refuses two frames where one belongs, and bytes after the frame', () => {
    const half = raw.subarray(0, 2500)
    const encoder = new FrameEncoder()
    const two = Buffer.concat([encoder.encode(half, 3), encoder.encode(raw.subarray(2500), 3)])
    assert.throws(() => decodeFrame(frameOf(raw, two), two), { code: 'invalid-pack' })
    const trailing = Buffer.concat([compressed, Buffer.from([0])])
    assert.throws(() => decodeFrame(frameOf(raw, trailing), trailing), { code: 'invalid-pack' })
  })

  it('refuses a skippable frame, garbage and truncated frames', () => {
    const skippable = Buffer.from('542a4d180400000061626364', 'hex')
    for (const bytes of [skippable, raw, Buffer.alloc(0), Buffer.alloc(40)]) {
      assert.throws(() => decodeFrame(frameOf(raw, bytes), bytes), { code: 'invalid-pack' })
    }
    for (const length of [1, 5, 9, 100, compressed.length - 1]) {
      const cut = compressed.subarray(0, length)
      assert.throws(() => decodeFrame({ ...frame, sizeBytes: length }, cut), {
        code: 'invalid-pack',
      })
      assert.throws(() => decodeFrame(frame, cut), { code: 'invalid-pack' })
    }
  })

  it('gives the bytes or an error, never other bytes, when any byte changes', () => {
    const random = new Random(6)
    for (let at = 0; at < compressed.length; at++) {
      const damaged = Buffer.from(compressed)
      damaged[at] = (damaged[at] ?? 0) ^ (1 + random.below(255))
      try {
        assert.ok(Buffer.from(decodeFrame(frame, damaged)).equals(raw))
      } catch (cause) {
        assert.match(String(cause), /^IndexFormatError/)
      }
    }
  })
})
