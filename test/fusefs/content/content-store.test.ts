import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  type BlobSource,
  ContentStore,
  createContentStats,
  MirrorView,
  sourceFromUrl,
} from '../../../fusefs/index.js'
import { packFixture, storePacks } from './pack-fixture.js'
import { createTestLog } from './test-log.js'

const KIB = 1024
const NEVER = new AbortController().signal

describe('ContentStore', () => {
  let directory: string
  let source: BlobSource
  let store: ContentStore
  const log = createTestLog()
  const pack = packFixture({ frameSizes: [1000, 256 * KIB, 70 * KIB, 1, 1024 * KIB, 300 * KIB] })

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'content-store-'))
    storePacks(join(directory, 'store'), [pack])
    const stats = createContentStats()
    source = sourceFromUrl({ url: pathToFileURL(join(directory, 'store')).href }, { log, stats })
    store = await ContentStore.open({ cacheDir: join(directory, 'cache') }, { log, stats })
  })

  afterEach(async () => {
    await store.close()
    await source.close()
    rmSync(directory, { recursive: true })
  })

  it('reads any range of a pack, whatever frames it crosses', async () => {
    const { rawSizeBytes } = pack.table
    const ranges = [
      [0, 1],
      [999, 2],
      [1000 + 326 * KIB, 1],
      [1000 + 200 * KIB, 300 * KIB],
      [0, rawSizeBytes],
      [rawSizeBytes - 1, 1],
    ] as const
    for (const [rawOffset, length] of ranges) {
      const target = Buffer.alloc(length)
      await store.read({ pack: pack.table, rawOffset, target, source }, NEVER)
      assert.ok(target.equals(pack.raw.subarray(rawOffset, rawOffset + length)))
    }
  })

  it('serves what it fetched from the mirror, without asking the store again', async () => {
    const frames = { first: 0, count: Infinity }
    await store.prefetch({ pack: pack.table, frames, source }, NEVER)
    assert.equal(store.stats.rangesFetched, 1)
    assert.equal(store.usageBytes(), pack.raw.length)
    const view = new MirrorView(store.mirror(pack.table))
    const target = Buffer.alloc(pack.raw.length)
    assert.equal(view.tryReadSync(target, 0), true)
    assert.ok(target.equals(pack.raw))
    await store.read({ pack: pack.table, rawOffset: 0, target, source }, NEVER)
    assert.equal(store.stats.rangesFetched, 1)
    assert.deepEqual(log.lines, [])
  })

  it('tells each frame that is here, in order, and can then read it without the store', async () => {
    const frames = { first: 0, count: Infinity }
    const here: number[] = []
    const reads: Promise<void>[] = []
    const onFrame = (frameIndex: number): void => {
      here.push(frameIndex)
      const frame = pack.table.frames[frameIndex]
      assert.ok(frame)
      const { rawOffset, rawSizeBytes } = frame
      const target = Buffer.alloc(rawSizeBytes)
      const reading = store.read({ pack: pack.table, rawOffset, target, source }, NEVER)
      const expected = pack.raw.subarray(rawOffset, rawOffset + rawSizeBytes)
      reads.push(
        reading.then(() => {
          assert.ok(target.equals(expected))
        }),
      )
    }
    await store.prefetch({ pack: pack.table, frames, source, onFrame }, NEVER)
    await Promise.all(reads)
    assert.deepEqual(here, [0, 1, 2, 3, 4, 5])
    assert.equal(store.stats.misses, 0)
    await store.prefetch({ pack: pack.table, frames, source, onFrame }, NEVER)
    assert.equal(here.length, 12)
    assert.equal(store.stats.rangesFetched, 1)
  })

  it('brings a pack of any size in one request, and readers of it wait for that one', async () => {
    const large = packFixture({ frameSizes: Array<number>(30).fill(1024 * KIB), seed: 9 })
    assert.ok(large.table.sizeBytes > 20 * 1024 * KIB)
    storePacks(join(directory, 'store'), [large])
    const frames = { first: 0, count: Infinity }
    const { table } = large
    const prefetch = store.prefetch({ pack: table, frames, source }, NEVER)
    const target = Buffer.alloc(5000)
    // The request is sent in the next turn of the event loop. Read after that.
    await new Promise((resolve) => setImmediate(resolve))
    await store.read({ pack: table, rawOffset: 12 * 1024 * KIB, target, source }, NEVER)
    assert.ok(target.equals(large.raw.subarray(12 * 1024 * KIB, 12 * 1024 * KIB + 5000)))
    await prefetch
    assert.equal(store.stats.rangesFetched, 1)
    assert.equal(store.stats.framesDecoded, 30)
  })
})
