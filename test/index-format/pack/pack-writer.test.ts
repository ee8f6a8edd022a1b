import assert from 'node:assert/strict'
import {
  digestOf,
  type FrameCompressor,
  InlineCompressor,
  packFiles,
  PackReader,
  type PackTable,
  PackWriter,
  readPackTable,
  ThreadCompressor,
} from '../../../index-format/index.js'
import { accessOf, MemoryStore } from './buffer-access.js'

const MIB = 1024 * 1024
const text = (content: string): Buffer => Buffer.from(content)

function writerTo(store: MemoryStore, compressor: FrameCompressor = new InlineCompressor()) {
  return new PackWriter({ sink: store.openPack(), compressor, level: 1 })
}

async function examplePack(): Promise<{ file: Buffer; table: PackTable }> {
  const store = new MemoryStore()
  const writer = writerTo(store)
  for (const content of ['first', 'second'])
    await writer.add(text(content), digestOf(text(content)))
  const table = await writer.finish()
  return { file: store.packs.get(table.digest) ?? assert.fail('not stored'), table }
}

describe('PackWriter', () => {
  it('puts frames in the order of their adding, and says where each begins', async () => {
    const store = new MemoryStore()
    const writer = writerTo(store)
    const contents = ['one', 'three', 'a longer one'].map(text)
    const offsets = []
    for (const content of contents) offsets.push(await writer.add(content, digestOf(content)))
    assert.deepEqual(offsets, [0, 3, 8])
    assert.equal(writer.rawSizeBytes, 20)
    const table = await writer.finish()
    const file = store.packs.get(table.digest)
    assert.ok(file)
    assert.equal(digestOf(file), table.digest)
    assert.equal(file.length, table.sizeBytes)
    const reader = PackReader.open(accessOf(file), table.digest)
    reader.verifyDigest()
    assert.deepEqual(reader.table, table)
    contents.forEach((content, at) => {
      assert.ok(content.equals(reader.readFrame(at)))
    })
    assert.throws(() => reader.readFrame(3), { code: 'invalid-pack' })
  })

  it('refuses empty and oversized frames, and more than a pack may hold', async () => {
    const writer = writerTo(new MemoryStore())
    const digest = digestOf(text(''))
    await assert.rejects(writer.add(text(''), digest), { code: 'limit-exceeded' })
    await assert.rejects(writer.add(Buffer.alloc(4 * MIB + 1), digest), { code: 'limit-exceeded' })
    for (let count = 0; count < 16; count++) await writer.add(Buffer.alloc(4 * MIB), digest)
    assert.ok(!writer.fits(1))
    await assert.rejects(writer.add(text('x'), digest), { code: 'limit-exceeded' })
    await writer.abort()
  })

  it('gives the compressor more while the oldest frame is not done, up to a bound', async () => {
    const store = new MemoryStore()
    const inline = new InlineCompressor()
    let letFirstGo = (): void => assert.fail('nothing was asked for')
    let asked = 0
    // Takes two frames at a time, and does not finish the first frame until `letFirstGo` is called.
    const compressor: FrameCompressor = {
      maxInFlight: 2,
      compress: async (raw, level) => {
        const compressed = await inline.compress(raw, level)
        if (asked++ === 0) await new Promise<void>((resolve) => (letFirstGo = resolve))
        return compressed
      },
      close: () => Promise.resolve(),
    }
    const writer = writerTo(store, compressor)
    const contents = Array.from({ length: 16 }, (_, at) => Buffer.alloc(2 * MIB, at))
    const added = (async () => {
      for (const content of contents) await writer.add(content, digestOf(content))
    })()
    // At most 16 MiB wait, which is eight of these frames.
    const deadlineMs = performance.now() + 10_000
    while (asked < 8 && performance.now() < deadlineMs) await new Promise(setImmediate)
    for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
    assert.equal(asked, 8)
    letFirstGo()
    await added
    const table = await writer.finish()
    assert.deepEqual(
      table.frames.map(({ digest }) => digest),
      contents.map((content) => digestOf(content)),
    )
    const file = store.packs.get(table.digest) ?? assert.fail('not stored')
    const reader = PackReader.open(accessOf(file), table.digest)
    contents.forEach((content, at) => {
      assert.ok(content.equals(reader.readFrame(at)))
    })
  })

  it('refuses to finish without a frame', async () => {
    await assert.rejects(writerTo(new MemoryStore()).finish(), { code: 'invalid-pack' })
  })

  it('hands on what the sink throws', async () => {
    const broken = {
      write: () => Promise.reject(new Error('disk full')),
      finish: () => Promise.resolve(),
      abort: () => Promise.resolve(),
    }
    const content = text('content')
    const compressor = new InlineCompressor()
    const runs = [{ offset: 0, length: content.length, pack: 0, rawOffset: 0 }]
    const files = [{ fileId: 2, digest: digestOf(content), runs }]
    const options = { files, spool: accessOf(content), compressor, level: 1 }
    await assert.rejects(packFiles({ ...options, openPack: () => broken }), /disk full/)
  })
})

describe('packFiles with wrong knowledge', () => {
  it('refuses known content of another length', async () => {
    const content = text('content')
    const { table } = await examplePack()
    const compressor = new InlineCompressor()
    const runs = [{ offset: 0, length: content.length, pack: 0, rawOffset: 0 }]
    for (const [rawOffset, length] of [
      [0, 6],
      [5, 7],
    ] as const) {
      const packing = packFiles({
        files: [{ fileId: 2, digest: digestOf(content), runs }],
        spool: accessOf(content),
        known: { file: () => [{ pack: table, rawOffset, length }], frame: () => undefined },
        compressor,
        level: 1,
        openPack: () => new MemoryStore().openPack(),
      })
      await assert.rejects(packing, { code: 'invalid-pack' })
    }
  })
})

describe('ThreadCompressor', () => {
  let compressor: ThreadCompressor
  beforeEach(() => {
    compressor = ThreadCompressor.start(1)
  })
  afterEach(() => compressor.close())

  it('refuses more than it said it takes, and everything once closed', async () => {
    const jobs = []
    for (let count = 0; count <= compressor.maxInFlight; count++) {
      jobs.push(compressor.compress(Buffer.alloc(MIB), 1))
    }
    const results = await Promise.allSettled(jobs)
    assert.equal(results.filter((result) => result.status === 'rejected').length, 1)
    assert.equal(results.at(-1)?.status, 'rejected')
    const late = compressor.compress(Buffer.alloc(4 * MIB), 19)
    late.catch(() => undefined)
    await compressor.close()
    await compressor.close()
    await assert.rejects(late, /closed/)
    await assert.rejects(compressor.compress(text('x'), 1), /closed/)
  })

  it('leaves bytes that share their buffer with others alone', async () => {
    const shared = text('shared bytes').subarray(0, 6)
    await compressor.compress(shared, 1)
    assert.equal(shared.toString(), 'shared')
  })

  it('says why zstd refused', async () => {
    await assert.rejects(compressor.compress(text('x'), 1000), /compress frame/)
    await assert.rejects(new InlineCompressor().compress(text('x'), 1000))
  })
})

describe('readPackTable', () => {
  const damages: [string, string, (file: Buffer) => Buffer][] = [
    ['a file that is too short for a table', 'truncated', (file) => file.subarray(-60)],
    ['another magic at the end', 'invalid-pack', (file) => patched(file, -1, 0x4c)],
    ['version 2', 'unsupported-version', (file) => patched(file, -12, 2)],
    ['no frames', 'invalid-pack', (file) => patched(file, -16, 0)],
    ['65,537 frames', 'invalid-pack', (file) => patched(patched(file, -14, 1), -16, 1)],
    ['more frames than there is room for', 'truncated', (file) => patched(file, -15, 1)],
    ['fewer frames than there are', 'invalid-pack', (file) => patched(file, -16, 1)],
    ['another skippable magic', 'invalid-pack', (file) => patched(file, -104, 0x55)],
    ['another skippable size', 'invalid-pack', (file) => patched(file, -100, 0)],
    ['an empty frame', 'invalid-pack', (file) => patched(file, -96, 0)],
    ['a frame over the limit', 'invalid-pack', (file) => patched(file, -93, 1)],
    ['an empty raw frame', 'invalid-pack', (file) => patched(file, -92, 0)],
    ['a raw frame over the limit', 'invalid-pack', (file) => patched(file, -89, 1)],
    ['frames that end before the table', 'invalid-pack', (file) => patched(file, -96, 1)],
    ['bytes before the first frame', 'invalid-pack', (file) => Buffer.concat([text('x'), file])],
  ]
  for (const [what, code, damage] of damages) {
    it(`refuses ${what}`, async () => {
      const { file, table } = await examplePack()
      assert.deepEqual(readPackTable(accessOf(file), table.digest), table)
      const damaged = damage(Buffer.from(file))
      assert.throws(() => readPackTable(accessOf(damaged), table.digest), { code })
    })
  }

  it('refuses a file over the limit without reading it', () => {
    const huge = {
      sizeBytes: 129 * MIB,
      readSync: () => assert.fail('was read'),
    }
    assert.throws(() => readPackTable(huge, digestOf(text(''))), { code: 'invalid-pack' })
  })

  it('refuses more raw bytes than a pack may have', async () => {
    const { file, table } = await examplePack()
    const rows = Buffer.concat(Array<Buffer>(17).fill(Buffer.alloc(40)))
    for (let row = 0; row < 17; row++) {
      rows.writeUInt32LE(1, row * 40)
      rows.writeUInt32LE(4 * MIB, row * 40 + 4)
    }
    const header = Buffer.from(file.subarray(-104, -96))
    header.writeUInt32LE(rows.length + 16, 4)
    const footer = Buffer.from(file.subarray(-16))
    footer.writeUInt32LE(17, 0)
    const pack = Buffer.concat([Buffer.alloc(17), header, rows, footer])
    assert.throws(() => readPackTable(accessOf(pack), table.digest), /raw bytes/)
  })
})

/** Sets one byte. A negative offset counts from the end. */
function patched(file: Buffer, at: number, value: number): Buffer {
  file[at < 0 ? file.length + at : at] = value
  return file
}
