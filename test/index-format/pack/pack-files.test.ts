import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import {
  type Digest,
  digestOf,
  type Extent,
  type FrameCompressor,
  InlineCompressor,
  type KnownContent,
  type PackedContent,
  packFiles,
  type PackInput,
  PackReader,
  ThreadCompressor,
} from '../../../index-format/index.js'
import { accessOf, MemoryStore } from './buffer-access.js'
import { Random } from './random.js'

const KIB = 1024
const MIB = KIB * KIB

/** A spool to which files are appended, and the inputs of `packFiles` that describe these files. */
class Spool {
  readonly files: PackInput[] = []
  readonly contents = new Map<number, Buffer>()
  readonly #chunks: Buffer[] = []
  #size = 0

  add(content: Buffer): number {
    return this.addSparse(content, [[0, content.length]])
  }

  /**
   * `runs` are [offset in the file, length]. `content` has the bytes of all runs, one after the
   * other.
   */
  addSparse(content: Buffer, runs: [number, number][]): number {
    const fileId = this.files.length + 2
    const extents: Extent[] = []
    for (const [offset, length] of runs) {
      extents.push({ offset, length, pack: 0, rawOffset: this.#size })
      this.#size += length
    }
    this.#chunks.push(content)
    this.files.push({ fileId, digest: digestOf(content), runs: extents })
    this.contents.set(fileId, content)
    return fileId
  }

  async pack(compressor: FrameCompressor, known?: KnownContent) {
    const store = new MemoryStore()
    const packed = await packFiles({
      files: this.files,
      spool: accessOf(Buffer.concat(this.#chunks)),
      compressor,
      level: 3,
      openPack: () => store.openPack(),
      ...(known ? { known } : {}),
    })
    return { store, packed }
  }
}

/** Reads a file's extents back from the packs, without its holes, and verifies each frame. */
function storedBytes(packed: PackedContent, stores: MemoryStore[], fileId: number): Buffer {
  const parts = packed.extentsOf(fileId).map(({ pack, rawOffset, length }) => {
    const table = packed.packs[pack]
    assert.ok(table)
    const file = stores.map((store) => store.packs.get(table.digest)).find(Boolean)
    assert.ok(file, `pack ${table.digest} is stored`)
    const reader = PackReader.open(accessOf(file), table.digest)
    assert.deepEqual(reader.table, table)
    const frames = table.frames
      .map((frame, at) => ({ frame, at }))
      .filter(({ frame }) => frame.rawOffset < rawOffset + length)
      .filter(({ frame }) => frame.rawOffset + frame.rawSizeBytes > rawOffset)
    const raw = Buffer.concat(frames.map(({ at }) => reader.readFrame(at)))
    const start = rawOffset - (frames[0]?.frame.rawOffset ?? 0)
    return raw.subarray(start, start + length)
  })
  return Buffer.concat(parts)
}

describe('packFiles', () => {
  let inline: InlineCompressor
  before(() => {
    inline = new InlineCompressor()
  })
  after(() => inline.close())

  it('gives every byte back, whatever the sizes', async () => {
    const seed = Date.now() & 0xffffff
    console.log(`      seed ${seed}`)
    const random = new Random(seed)
    const spool = new Spool()
    const sizes = [1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 5 * MIB]
    for (let count = 0; count < 60; count++) sizes.push(random.below(100 * KIB))
    for (let count = 0; count < 4; count++) sizes.push(random.below(3 * MIB))
    for (const size of sizes) spool.add(random.bytes(size, 20))
    const { store, packed } = await spool.pack(inline)
    for (const [fileId, content] of spool.contents) {
      assert.ok(storedBytes(packed, [store], fileId).equals(content), `file ${fileId}`)
    }
    assert.equal(packed.newPacks.size, 1)
    for (const { rawSizeBytes } of store.tables[0]?.frames ?? []) {
      assert.ok(rawSizeBytes <= 4 * MIB)
    }
  })

  it('keeps holes out of the packs and extents at their place', async () => {
    const random = new Random(7)
    const spool = new Spool()
    const small = spool.addSparse(random.bytes(300), [
      [0, 100],
      [5000, 200],
    ])
    const large = spool.addSparse(random.bytes(3 * MIB, 9), [
      [10, MIB + 1],
      [8 * MIB, 2 * MIB - 1],
    ])
    const { store, packed } = await spool.pack(inline)
    for (const fileId of [small, large]) {
      assert.ok(storedBytes(packed, [store], fileId).equals(spool.contents.get(fileId) ?? NOTHING))
    }
    assert.deepEqual(
      packed.extentsOf(small).map((extent) => [extent.offset, extent.length]),
      [
        [0, 100],
        [5000, 200],
      ],
    )
    const runs = packed.extentsOf(large)
    assert.equal(runs[0]?.offset, 10)
    assert.equal(
      runs.reduce((sum, run) => sum + run.length, 0),
      3 * MIB,
    )
  })

  it('starts a new pack after 64 MiB and goes on in it with the same file', async () => {
    const spool = new Spool()
    const block = new Random(3).bytes(MIB)
    const big = Buffer.alloc(70 * MIB)
    // This makes every MiB different at little cost.
    for (let at = 0; at < 70; at++) {
      block.copy(big, at * MIB)
      big.writeUInt32LE(at, at * MIB)
      big.fill(at, at * MIB + 300 * KIB, at * MIB + 900 * KIB)
    }
    const fileId = spool.add(big)
    const { store, packed } = await spool.pack(inline)
    assert.equal(packed.packs.length, 2)
    assert.ok((packed.packs[0]?.rawSizeBytes ?? 0) <= 64 * MIB)
    assert.ok((packed.packs[0]?.rawSizeBytes ?? 0) > 60 * MIB)
    assert.ok(storedBytes(packed, [store], fileId).equals(big))
  })

  it('stores equal files once, and equal parts of large files once', async () => {
    const random = new Random(11)
    const spool = new Spool()
    const library = random.bytes(6 * MIB)
    const first = spool.add(library)
    const again = spool.add(library)
    const insertion = Buffer.concat([
      library.subarray(0, 1000),
      Buffer.from('an insertion'),
      library.subarray(1000),
    ])
    const changed = spool.add(insertion)
    const note = spool.add(Buffer.from('the same small file'))
    const copy = spool.add(Buffer.from('the same small file'))
    const { store, packed } = await spool.pack(inline)
    assert.deepEqual(packed.extentsOf(first), packed.extentsOf(again))
    assert.deepEqual(packed.extentsOf(note), packed.extentsOf(copy))
    assert.ok(storedBytes(packed, [store], changed).equals(insertion))
    const raw = packed.packs[0]?.rawSizeBytes ?? 0
    assert.ok(raw < 6 * MIB + 4.1 * MIB, `${raw} raw bytes: only the changed frame is stored again`)
    assert.equal([...packed.storedContents()].length, 3)
  })

  it('does not store again what the store has', async () => {
    const random = new Random(12)
    const before = new Spool()
    const library = random.bytes(3 * MIB)
    before.add(random.bytes(500))
    before.add(library)
    const first = await before.pack(inline)
    const files = new Map<Digest, readonly { pack: number; rawOffset: number; length: number }[]>()
    for (const { digest, pieces } of first.packed.storedContents()) files.set(digest, pieces)
    const known: KnownContent = {
      file: (digest) =>
        files.get(digest)?.map((piece) => {
          const pack = first.packed.packs[piece.pack]
          assert.ok(pack)
          return { ...piece, pack }
        }),
      frame: (digest) => {
        for (const pack of first.packed.packs) {
          const frame = pack.frames.find((candidate) => candidate.digest === digest)
          if (frame) return { pack, rawOffset: frame.rawOffset, length: frame.rawSizeBytes }
        }
        return undefined
      },
    }
    const after = new Spool()
    for (const content of before.contents.values()) after.add(content)
    const same = await after.pack(inline, known)
    assert.equal(same.packed.newPacks.size, 0)
    assert.equal(same.store.packs.size, 0)
    const newer = after.add(Buffer.concat([library, Buffer.from('tail')]))
    const grown = await after.pack(inline, known)
    assert.equal(grown.packed.newPacks.size, 1)
    assert.ok((grown.store.tables[0]?.rawSizeBytes ?? 0) < 3 * MIB)
    for (const [fileId, content] of after.contents) {
      assert.ok(storedBytes(grown.packed, [first.store, grown.store], fileId).equals(content))
    }
    assert.ok(grown.packed.extentsOf(newer).length > 1)
  })

  it('gives the same packs with one thread, three threads and none', async () => {
    const random = new Random(5)
    const spool = new Spool()
    for (let count = 0; count < 200; count++) spool.add(random.bytes(random.below(30 * KIB), 30))
    spool.add(random.bytes(4 * MIB, 100))
    const expected = (await spool.pack(inline)).packed.packs
    for (const threads of [1, 3]) {
      const compressor = ThreadCompressor.start(threads)
      try {
        assert.deepEqual((await spool.pack(compressor)).packed.packs, expected)
      } finally {
        await compressor.close()
      }
    }
  })

  it('writes packs that the zstd program decompresses to their content', async () => {
    const spool = new Spool()
    const content = new Random(9).bytes(600 * KIB, 8)
    spool.add(content)
    const { store } = await spool.pack(inline)
    const [pack] = store.packs.values()
    assert.ok(pack)
    const raw = execFileSync('zstd', ['-dc'], { input: pack, maxBuffer: 10 * MIB })
    assert.ok(raw.equals(content))
  })

  it('aborts the pack being written when the spool ends early', async () => {
    const store = new MemoryStore()
    const random = new Random(2)
    const content = random.bytes(400 * KIB)
    const runs = [{ offset: 0, length: content.length, pack: 0, rawOffset: 0 }]
    const late = [{ offset: 0, length: 300 * KIB, pack: 0, rawOffset: content.length - 10 }]
    await assert.rejects(
      packFiles({
        files: [
          { fileId: 1, digest: digestOf(content), runs },
          { fileId: 2, digest: digestOf(Buffer.from('x')), runs: late },
        ],
        spool: accessOf(content),
        compressor: inline,
        level: 3,
        openPack: () => store.openPack(),
      }),
      { code: 'truncated' },
    )
    assert.equal(store.aborted, 1)
    assert.equal(store.packs.size, 0)
  })

  it('stops at a signal', async () => {
    const spool = new Spool()
    spool.add(Buffer.from('content'))
    const store = new MemoryStore()
    await assert.rejects(
      packFiles({
        files: spool.files,
        spool: accessOf(Buffer.from('content')),
        compressor: inline,
        level: 3,
        openPack: () => store.openPack(),
        signal: AbortSignal.abort(new Error('enough')),
      }),
      /enough/,
    )
  })
})

const NOTHING = Buffer.alloc(0)
