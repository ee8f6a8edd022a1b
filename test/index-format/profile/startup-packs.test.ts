import assert from 'node:assert/strict'
import {
  type Frame,
  groupedProfile,
  InlineCompressor,
  packStartup,
  type PackSink,
  type Profile,
  PROFILE_PAGE_BYTES,
  readPackTable,
  decodeFrame,
  startupContent,
  type StartupContent,
  type Tree,
} from '../../../index-format/index.js'
import { accessOf } from '../pack/buffer-access.js'
import { Random } from '../pack/random.js'

const PAGE = PROFILE_PAGE_BYTES
const FRAME_BYTES = 256 * 1024
const index = `sha256:${'ab'.repeat(32)}` as const

/** Two packs of bytes that do not compress. */
const PACKS = [new Random(1).bytes(600 * 1024), new Random(2).bytes(2 * 1024 * 1024)]

/** File n has the n-th extent. Not all sizes are multiples of a page. */
const TREE: Tree = {
  inode: () => undefined,
  lookup: () => undefined,
  readdir: () => [],
  readlink: () => undefined,
  xattrs: () => [],
  extents: (ino) =>
    [
      { offset: 0, length: 5001, pack: 0, rawOffset: 77 },
      { offset: 0, length: 500 * 1024, pack: 0, rawOffset: 8192 },
      { offset: 0, length: 2 * 1024 * 1024 - 5, pack: 1, rawOffset: 5 },
    ].filter((_, at) => at === ino),
}

describe('packStartup', () => {
  it('puts the content into packs in its order, and says where each byte is', async () => {
    const content = contentOf([2, 300, 100], [0, 0, 2], [1, 10, 115], [2, 0, 9])
    const { files, startup } = await packed(content)
    assert.equal(files.length, 1)
    assert.equal(startup.packs[0]?.rawSizeBytes, content.sizeBytes)
    const raw = rawOf(files)
    for (const { startupOffset, length, source } of content.pieces) {
      const { pack, rawOffset, roomBytes } = startup.place(startupOffset)
      assert.equal(pack, 0)
      assert.equal(roomBytes, content.sizeBytes - rawOffset)
      const from = PACKS[source.pack]?.subarray(source.rawOffset, source.rawOffset + length)
      assert.deepEqual(raw.subarray(rawOffset, rawOffset + length), from)
    }
  })

  it('cuts frames of at most 256 KiB, never inside a page', async () => {
    const content = contentOf([0, 0, 2], [2, 0, 512], [1, 1, 100])
    const { startup } = await packed(content)
    const cuts = new Set<number>()
    for (const { startupOffset, length } of content.pieces) {
      for (let at = 0; at < length; at += PAGE) cuts.add(startupOffset + at)
    }
    const frames = startup.packs.flatMap((pack) => pack.frames)
    assert.ok(frames.length >= 10)
    for (const frame of frames) {
      assert.ok(frame.rawSizeBytes <= FRAME_BYTES)
      assert.ok(cuts.has(frame.rawOffset), `a frame begins at ${frame.rawOffset}`)
    }
  })

  it('gives equal packs for equal content', async () => {
    const content = contentOf([1, 3, 50], [2, 7, 90])
    const [first, second] = [await packed(content), await packed(content)]
    assert.deepEqual(first.startup.packs, second.startup.packs)
    assert.deepEqual(first.files, second.files)
  })

  it('leaves no pack behind when the content cannot be read', async () => {
    const sinks: string[] = []
    const content = contentOf([1, 0, 100], [2, 0, 100])
    await assert.rejects(
      packStartup(content, {
        read: (pack) => (pack === 1 ? Promise.reject(new Error('gone')) : Promise.resolve()),
        compressor: new InlineCompressor(),
        level: 3,
        openPack: () => ({
          write: () => Promise.resolve(),
          finish: () => Promise.resolve(void sinks.push('finish')),
          abort: () => Promise.resolve(void sinks.push('abort')),
        }),
      }),
      /gone/,
    )
    assert.deepEqual(sinks, ['abort'])
  })
})

describe('groupedProfile', () => {
  it('joins neighbouring pages that are read within one frame, and keeps the order of frames', () => {
    const grouped = groupedProfile(
      profileOf([5, 9, 1], [3, 1, 1], [5, 8, 1], [3, 0, 1], [4, 0, 63]),
    )
    assert.deepEqual(grouped.ranges, profileOf([3, 0, 2], [5, 8, 2], [4, 0, 63]).ranges)
  })

  it('keeps every page once', () => {
    const pages = Array.from({ length: 500 }, (_, at): [number, number, number] => {
      return [(at * 7) % 3, (at * 37) % 500, 1]
    })
    const grouped = groupedProfile(profileOf(...pages))
    const all = grouped.ranges.flatMap(({ ino, offset, length }) =>
      Array.from({ length: length / PAGE }, (_, at) => `${ino}:${offset / PAGE + at}`),
    )
    assert.deepEqual(all.sort(), pages.map(([ino, page]) => `${ino}:${page}`).sort())
  })
})

function profileOf(...ranges: [ino: number, page: number, pages: number][]): Profile {
  const scaled = ranges.map(([ino, page, pages]) => {
    return { ino, offset: page * PAGE, length: pages * PAGE }
  })
  return { index, commands: [], ranges: scaled }
}

function contentOf(...ranges: [ino: number, page: number, pages: number][]): StartupContent {
  return startupContent(TREE, profileOf(...ranges))
}

async function packed(content: StartupContent): Promise<{
  files: Uint8Array[]
  startup: Awaited<ReturnType<typeof packStartup>>
}> {
  const files: Uint8Array[] = []
  const startup = await packStartup(content, {
    read: (pack, rawOffset, target) => {
      target.set(PACKS[pack]?.subarray(rawOffset, rawOffset + target.length) ?? [])
      return Promise.resolve()
    },
    compressor: new InlineCompressor(),
    level: 3,
    openPack: () => new MemorySink(files),
  })
  return { files, startup }
}

class MemorySink implements PackSink {
  readonly #files: Uint8Array[]
  readonly #parts: Uint8Array[] = []

  constructor(files: Uint8Array[]) {
    this.#files = files
  }

  write(bytes: Uint8Array): Promise<void> {
    this.#parts.push(bytes)
    return Promise.resolve()
  }

  finish(): Promise<void> {
    this.#files.push(Buffer.concat(this.#parts))
    return Promise.resolve()
  }

  abort(): Promise<void> {
    return Promise.resolve()
  }
}

/** Reads the uncompressed content of pack files, as any reader would. */
function rawOf(files: readonly Uint8Array[]): Uint8Array {
  const parts = files.flatMap((file) => {
    const table = readPackTable(accessOf(file), index)
    return table.frames.map((frame: Frame) =>
      decodeFrame(frame, file.subarray(frame.offset, frame.offset + frame.sizeBytes)),
    )
  })
  return Buffer.concat(parts)
}
