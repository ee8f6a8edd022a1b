/** Tests the detection of compression by content, decompression, and hostile or damaged input. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { gzipSync } from 'node:zlib'
import { compress } from 'zstd-napi'
import { decompressedFrame } from '../../../index-format/compression/bounded-frame.js'
import { type Compression, compressionOf, decompress } from '../../../index-format/index.js'
import { chunksOf, tarOf } from '../tar/tar-fixture.js'

const ARCHIVE = tarOf(
  { path: 'f', body: 'x'.repeat(100_000) },
  { path: 'noise', body: noise(300_000) },
)

/** A skippable frame of RFC 8878, 3.1.2, with 3 bytes in it. */
const SKIPPABLE = Buffer.from('502a4d1803000000616263', 'hex')

async function decompressed(bytes: Uint8Array, chunkBytes = 65_536): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of decompress(chunksOf(bytes, chunkBytes))) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('compressionOf', () => {
  const v7 = tarOf({ path: 'f', magic: '\0\0\0\0\0\0\0\0' })
  const cases: readonly (readonly [string, Uint8Array, Compression | undefined])[] = [
    ['a ustar archive', ARCHIVE, 'none'],
    ['a GNU archive', tarOf({ path: 'f', magic: 'ustar  \0' }), 'none'],
    ['a v7 archive', v7, 'none'],
    ['an archive of end blocks only', Buffer.alloc(1024), 'none'],
    ['nothing', Buffer.alloc(0), 'none'],
    ['gzip', gzipSync(ARCHIVE), 'gzip'],
    ['zstd', compress(ARCHIVE), 'zstd'],
    ['zstd behind a skippable frame', Buffer.concat([SKIPPABLE, compress(ARCHIVE)]), 'zstd'],
    ['xz', Buffer.from('fd377a585a000004', 'hex'), undefined],
    ['text', Buffer.from('hello'.repeat(200)), undefined],
    ['fewer bytes than a header', ARCHIVE.subarray(0, 300), undefined],
  ]
  for (const [name, bytes, expected] of cases) {
    it(`sees ${expected ?? 'nothing it knows'} in ${name}`, () => {
      assert.equal(compressionOf(bytes.subarray(0, 512)), expected)
    })
  }
})

describe('decompress', () => {
  const forms: readonly (readonly [string, Uint8Array])[] = [
    ['plain', ARCHIVE],
    ['gzip', gzipSync(ARCHIVE)],
    [
      'gzip in two members',
      Buffer.concat([gzipSync(ARCHIVE.subarray(0, 999)), gzipSync(ARCHIVE.subarray(999))]),
    ],
    ['zstd', compress(ARCHIVE)],
    [
      'zstd in two frames',
      Buffer.concat([compress(ARCHIVE.subarray(0, 999)), compress(ARCHIVE.subarray(999))]),
    ],
    ['zstd between skippable frames', Buffer.concat([SKIPPABLE, compress(ARCHIVE), SKIPPABLE])],
  ]
  for (const [name, bytes] of forms) {
    it(`gives the archive back from ${name}, however it is cut`, async () => {
      for (const chunkBytes of [bytes.length, 4099, 61]) {
        assert.ok((await decompressed(bytes, chunkBytes)).equals(ARCHIVE))
      }
    })
  }

  it('says what it found before the first byte', async () => {
    const seen: Compression[] = []
    const source = decompress(chunksOf(gzipSync(ARCHIVE)), { onCompression: (is) => seen.push(is) })
    for await (const chunk of source) assert.ok(chunk.length > 0 && seen.length === 1)
    assert.deepEqual(seen, ['gzip'])
  })

  it('ends the source when the loop is left, and when the input is refused', async () => {
    for (const bytes of [
      ARCHIVE,
      gzipSync(ARCHIVE),
      compress(ARCHIVE),
      Buffer.alloc(70_000, 'no'),
    ]) {
      let ended = false
      async function* source(): AsyncGenerator<Uint8Array> {
        try {
          yield* chunksOf(bytes, 600)
        } finally {
          ended = true
        }
      }
      try {
        for await (const chunk of decompress(source())) if (chunk.length > 0) break
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'invalid-compression')
      }
      // A stream between `decompress` and the source ends the source one tick later.
      await new Promise(setImmediate)
      assert.ok(ended)
    }
  })

  it('passes an error of the source through', async () => {
    const cause = new Error('connection reset')
    for (const bytes of [ARCHIVE, gzipSync(ARCHIVE), compress(ARCHIVE)]) {
      async function* source(): AsyncGenerator<Uint8Array> {
        yield* chunksOf(bytes.subarray(0, 2000), 1000)
        throw cause
      }
      await assert.rejects(async () => {
        for await (const chunk of decompress(source())) assert.ok(chunk.length > 0)
      }, cause)
    }
  })
})

describe('decompress on hostile input', () => {
  const gzip = gzipSync(ARCHIVE)
  const zstd = compress(ARCHIVE)
  const cases = [
    [
      'gzip cut short',
      gzip.subarray(0, 5000),
      'truncated',
      /layer: the gzip stream ends too early/,
    ],
    ['gzip cut inside its checksum', gzip.subarray(0, -4), 'truncated', /ends too early/],
    [
      'zstd cut short',
      zstd.subarray(0, 5000),
      'truncated',
      /layer: the zstd stream ends inside a frame/,
    ],
    ['zstd cut inside its header', zstd.subarray(0, 5), 'truncated', /ends inside a frame/],
    ['gzip with a flipped bit', flipped(gzip, 200_000), 'invalid-compression', /damaged gzip/],
    ['zstd with a flipped bit', flipped(zstd, 11), 'invalid-compression', /damaged zstd/],
    [
      'zstd followed by garbage',
      Buffer.concat([zstd, Buffer.from('garbage')]),
      'invalid-compression',
      /damaged zstd/,
    ],
    [
      'what is no archive',
      Buffer.from('\x7fELF'.repeat(200)),
      'invalid-compression',
      /begins with "\\x7fELF\\x7fELF", which is neither/,
    ],
  ] as const
  for (const [name, bytes, code, message] of cases) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(decompressed(bytes), { name: 'IndexFormatError', code, message })
    })
  }

  for (const [name, bomb] of [
    ['gzip', gzipSync(Buffer.alloc(64 * 2 ** 20))],
    ['zstd', compress(Buffer.alloc(64 * 2 ** 20))],
  ] as const) {
    it(`stops a ${name} bomb at the limit, with little of it in memory`, async () => {
      let raw = 0
      await assert.rejects(
        async () => {
          const source = decompress(chunksOf(bomb), { maxRawBytes: 2 ** 20, name: 'blob b' })
          for await (const chunk of source) raw += chunk.length
        },
        { code: 'limit-exceeded', message: /blob b: expands beyond the limit of 1048576 bytes/ },
      )
      assert.ok(raw <= 2 ** 20)
    })
  }
})

describe('decompress at its limit', () => {
  for (const [name, bytes] of [
    ['plain', ARCHIVE],
    ['gzip', gzipSync(ARCHIVE)],
    ['zstd', compress(ARCHIVE)],
  ] as const) {
    it(`gives exactly as many bytes as are allowed from ${name}, and not one more`, async () => {
      const read = async (maxRawBytes: number): Promise<number> => {
        let raw = 0
        for await (const chunk of decompress(chunksOf(bytes), { maxRawBytes })) raw += chunk.length
        return raw
      }
      assert.equal(await read(ARCHIVE.length), ARCHIVE.length)
      await assert.rejects(read(ARCHIVE.length - 1), { code: 'limit-exceeded' })
    })
  }
})

describe('decompressedFrame', () => {
  const limit = { maxBytes: 1000, what: 'document' }
  const document = Buffer.alloc(1000, 'document ')

  it('gives a document of exactly the limit', () => {
    assert.ok(decompressedFrame(compress(document), limit).equals(document))
  })

  it('refuses a document of one byte more, by what its header claims', () => {
    const larger = compress(Buffer.alloc(1001, 'document '))
    assert.throws(() => decompressedFrame(larger, limit), { code: 'limit-exceeded' })
  })

  it('refuses a second frame, and bytes behind the frame', () => {
    for (const behind of [
      compress(Buffer.from('more')),
      Buffer.from([0]),
      Buffer.from('garbage'),
    ]) {
      const bytes = Buffer.concat([compress(document), behind])
      assert.throws(() => decompressedFrame(bytes, limit), { code: 'invalid-compression' })
    }
  })

  it('refuses a frame that does not say its size', () => {
    const header = compress(document)
    // Descriptor without content size and with a window (RFC 8878, 3.1.1.1.1).
    const unsized = Buffer.concat([header.subarray(0, 4), Buffer.from([0x00, 0x58, 0x01, 0, 0])])
    assert.throws(() => decompressedFrame(unsized, limit), { code: 'limit-exceeded' })
  })
})

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 0x10
  return copy
}

/** Bytes that do not compress, the same every time. */
function noise(length: number): Buffer {
  const parts: Buffer[] = []
  for (let i = 0; i * 32 < length; i++) parts.push(createHash('sha256').update(String(i)).digest())
  return Buffer.concat(parts).subarray(0, length)
}
