/** Tests that an origin that never answers takes no place from reads of other origins. */
import assert from 'node:assert/strict'
import { mock } from 'node:test'
import {
  type BlobSource,
  type ContentStore,
  DEFAULT_CONTENT_LIMITS,
} from '../../../fusefs/index.js'
import { FetchTraffic } from '../../../fusefs/content/fetch/fetch-traffic.js'
import { type BlobServer, neverAnswer } from './blob-server.js'
import { ContentHarness } from './content-harness.js'
import { packFixture } from './pack-fixture.js'

const KIB = 1024
const pack = packFixture({ frameSizes: Array.from({ length: 40 }, () => 20 * KIB) })

describe('places of range requests', () => {
  let harness: ContentHarness
  let silent: BlobServer
  let silentSource: BlobSource
  let stop: AbortController

  beforeEach(async () => {
    stop = new AbortController()
    harness = await ContentHarness.start([pack])
    silent = await harness.secondServer([pack])
    silent.always = neverAnswer
    // The silent origin fails no request while a test runs.
    silentSource = harness.sourceAt(silent, { headersTimeoutMs: 300_000 })
  })

  afterEach(async () => {
    stop.abort()
    await harness.stop()
  })

  async function read(store: ContentStore, frame: number, source: BlobSource): Promise<void> {
    const target = Buffer.alloc(20 * KIB)
    const rawOffset = frame * 20 * KIB
    await store.read({ pack: pack.table, rawOffset, target, source }, stop.signal)
    assert.ok(target.equals(pack.raw.subarray(rawOffset, rawOffset + target.length)))
  }

  it('are there for a healthy origin while nine reads wait for one that never answers', async () => {
    const store = await harness.open({ maxReadRangeBytes: 1, noProgressMs: 20 })
    let settled = 0
    for (let frame = 0; frame < 9; frame++) {
      read(store, frame, silentSource).then(
        () => settled++,
        () => settled++,
      )
    }
    const healthy = Array.from({ length: 20 }, (_, i) => read(store, 20 + i, harness.source))
    await Promise.all(healthy)
    assert.equal(settled, 0)
    assert.equal(harness.server.requests.length, 20)
    assert.equal(silent.requests.length, 8)
  })

  it('are not needed by the first read of an origin', async () => {
    // Here a request without progress keeps its place as long as the test runs.
    const store = await harness.open({ maxReadRangeBytes: 1, noProgressMs: 300_000 })
    for (let frame = 0; frame < 9; frame++)
      void read(store, frame, silentSource).catch(() => undefined)
    await read(store, 20, harness.source)
    await read(store, 21, harness.source)
    assert.equal(harness.server.requests.length, 2)
  })
})

describe('FetchTraffic', () => {
  const limits = { ...DEFAULT_CONTENT_LIMITS, maxConcurrentFetches: 3, noProgressMs: 1000 }

  beforeEach(() => {
    mock.timers.enable({ apis: ['setTimeout'] })
  })

  afterEach(() => {
    mock.timers.reset()
  })

  it('lets a request without progress count only at its origin, until it progresses again', () => {
    let freed = 0
    const traffic = new FetchTraffic(limits, () => freed++)
    const places = [1, 2, 3].map(() => traffic.started('read', 'a'))
    for (const place of places) place.waits()
    const other = traffic.started('read', 'b')
    assert.equal(traffic.mayStart('read', 'b'), false)
    mock.timers.tick(999)
    assert.equal(traffic.mayStart('read', 'b'), false)
    mock.timers.tick(1)
    assert.equal(freed, 3)
    assert.equal(traffic.mayStart('read', 'b'), true)
    assert.equal(traffic.mayStart('read', 'a'), false)
    places[0]?.progressed()
    places[1]?.progressed()
    assert.equal(traffic.mayStart('read', 'b'), false)
    for (const place of places) traffic.ended(place, 'a')
    traffic.ended(other, 'b')
    assert.equal(traffic.mayStart('background', 'a'), true)
  })

  it('keeps places of an origin for reads', () => {
    const traffic = new FetchTraffic(limits, () => undefined)
    const place = traffic.started('prefetch', 'a')
    place.waits()
    mock.timers.tick(1000)
    assert.equal(traffic.mayStart('prefetch', 'a'), false)
    assert.equal(traffic.mayStart('prefetch', 'b'), true)
    assert.equal(traffic.mayStart('read', 'a'), true)
  })

  it('bounds the requests of all origins, those without progress included', () => {
    const traffic = new FetchTraffic(limits, () => undefined)
    for (let i = 0; i < 24; i++) traffic.started('read', `origin ${i}`).waits()
    mock.timers.tick(1000)
    assert.equal(traffic.mayStart('read', 'another'), false)
  })
})
