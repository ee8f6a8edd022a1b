/**
 * Tests that reads go before prefetch and completion, and that a pack read in sequence is read
 * ahead.
 */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { ContentHarness } from './content-harness.js'
import { packFixture } from './pack-fixture.js'

const NEVER = new AbortController().signal
const FRAME_BYTES = 64 * 1024
const packs = [1, 2].map((seed) =>
  packFixture({ seed, frameSizes: Array.from({ length: 48 }, () => FRAME_BYTES) }),
)
const [startup, other] = packs as [(typeof packs)[0], (typeof packs)[0]]

describe('reads, prefetch and completion', function () {
  this.timeout(30_000)
  let harness: ContentHarness

  beforeEach(async () => {
    harness = await ContentHarness.start(packs)
  })

  afterEach(async () => {
    await harness.stop()
  })

  async function read(pack: typeof startup, frame: number): Promise<void> {
    const target = Buffer.alloc(FRAME_BYTES)
    const rawOffset = frame * FRAME_BYTES
    const store = await opened
    await store.read({ pack: pack.table, rawOffset, target, source: harness.source }, NEVER)
    assert.deepEqual(target, pack.raw.subarray(rawOffset, rawOffset + FRAME_BYTES))
  }
  let opened: ReturnType<ContentHarness['open']>

  it('ends a request when its frames are there', async () => {
    opened = harness.open({})
    const store = await opened
    await read(other, 5)
    // A request once waited a second for its own end. This deadline is shorter than that second.
    const deadlineMs = performance.now() + 900
    while (store.load().ranges > 0) {
      assert.ok(performance.now() < deadlineMs, 'the request still goes on')
      await sleep(5)
    }
  })

  it('keeps prefetch to its bandwidth, and lets a read overtake it', async () => {
    opened = harness.open({ prefetchBytesPerSecond: 1_000_000 })
    const store = await opened
    const frames = { first: 0, count: 48 }
    const startedMs = performance.now()
    const arrived: number[] = []
    const onFrame = (frame: number): void => void arrived.push(frame)
    const prefetch = store.prefetch(
      { pack: startup.table, frames, source: harness.source, onFrame },
      NEVER,
    )
    await sleep(100)
    await read(other, 5)
    const readMs = performance.now() - startedMs
    const expectedMs = startup.stored.length / 1000
    assert.ok(readMs < expectedMs / 2, `read after ${readMs} ms`)
    assert.ok(arrived.length < 48)
    await prefetch
    const tookMs = performance.now() - startedMs
    assert.ok(tookMs > expectedMs * 0.7, `${tookMs} ms for ${startup.stored.length} bytes`)
    assert.equal(arrived.length, 48)
  })

  it('hurries a slow prefetch for a frame that somebody waits for', async () => {
    opened = harness.open({ prefetchBytesPerSecond: 100_000 })
    const store = await opened
    const abort = new AbortController()
    const prefetch = store.prefetch(
      { pack: startup.table, frames: { first: 0, count: 48 }, source: harness.source },
      abort.signal,
    )
    prefetch.catch(() => undefined)
    await sleep(50)
    const startedMs = performance.now()
    await read(startup, 40)
    const tookMs = performance.now() - startedMs
    assert.ok(tookMs < 5_000, `${tookMs} ms`)
    assert.equal(harness.server.requests.length, 1)
    abort.abort()
    await assert.rejects(prefetch, { code: 'aborted' })
  })

  it('pauses prefetch while a read is under way', async () => {
    opened = harness.open()
    const store = await opened
    harness.server.always = ({ blob, range, response }) => {
      const slow = blob.equals(other.stored)
      setTimeout(
        () => {
          response.writeHead(206, {
            'content-range': `bytes ${range.offset}-${range.offset + range.length - 1}/${blob.length}`,
            'content-length': range.length,
          })
          response.end(blob.subarray(range.offset, range.offset + range.length))
        },
        slow ? 300 : 50,
      )
    }
    const reading = read(other, 0)
    const frames = { first: 0, count: 48 }
    await store.prefetch({ pack: startup.table, frames, source: harness.source }, NEVER)
    await reading
    assert.ok(harness.stats.prefetchPauses > 0)
  })

  it('begins to complete only when nothing else is under way', async () => {
    opened = harness.open()
    const store = await opened
    const order: string[] = []
    const frames = { first: 0, count: 48 }
    const { source } = harness
    const background = store
      .prefetch({ pack: other.table, frames, source, priority: 'background' }, NEVER)
      .then(() => order.push('background'))
    const prefetch = store
      .prefetch({ pack: startup.table, frames, source }, NEVER)
      .then(() => order.push('prefetch'))
    await Promise.all([background, prefetch])
    assert.deepEqual(order, ['prefetch', 'background'])
  })

  it('reads a pack in sequence with few requests', async () => {
    opened = harness.open()
    for (let frame = 0; frame < 48; frame++) await read(startup, frame)
    const { length } = harness.server.requests
    assert.ok(length <= 12, `${length} requests for 48 frames`)
    assert.ok(harness.stats.framesReadAhead >= 36)
    assert.ok(harness.stats.bytesFetched <= startup.stored.length)
  })
})
