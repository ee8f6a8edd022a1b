/** Tests how long a read waits for a store that fails, and which failures end it at once. */
import assert from 'node:assert/strict'
import {
  type BlobSource,
  type ContentStore,
  FailoverSource,
  FusefsError,
  type HttpLimits,
  OriginHealths,
} from '../../../fusefs/index.js'
import { hexOf } from '../../../index-format/index.js'
import { answerStatus, BlobServer, type Fault, flipBitAt, resetAfter } from './blob-server.js'
import { ContentHarness } from './content-harness.js'
import { packFixture } from './pack-fixture.js'

const KIB = 1024
const NEVER = new AbortController().signal
const pack = packFixture({ frameSizes: Array.from({ length: 10 }, () => 20 * KIB) })
const HOUR_MS = 3_600_000

describe('reads of a store that fails', () => {
  let harness: ContentHarness
  let store: ContentStore
  let nowMs: number
  /** Called at each wait of a read. */
  let onWait: () => void | Promise<void>
  let waits: number

  beforeEach(async () => {
    harness = await ContentHarness.start([pack])
    nowMs = 0
    waits = 0
    onWait = () => undefined
    const now = (): number => nowMs
    const timing = {
      random: () => 1,
      sleep: async (ms: number, signal: AbortSignal): Promise<void> => {
        signal.throwIfAborted()
        waits++
        nowMs += ms
        await onWait()
      },
    }
    harness.patience = { now, timing }
    harness.healths = new OriginHealths(
      { maxAttempts: 2, retryAfterCapMs: 20_000 },
      { counters: harness.stats, log: harness.log, now, random: () => 0 },
    )
    store = await harness.open({ maxGapBytes: 1 })
  })

  afterEach(() => harness.stop())

  function patient(retryForMs: number, limits: Partial<HttpLimits> = {}): BlobSource {
    return harness.sourceAt(harness.server, { ...limits, retryForMs })
  }

  async function read(source: BlobSource, rawOffset = 0, signal = NEVER): Promise<void> {
    const target = Buffer.alloc(30 * KIB)
    await store.read({ pack: pack.table, rawOffset, target, source }, signal)
    assert.ok(target.equals(pack.raw.subarray(rawOffset, rawOffset + target.length)))
  }

  const passing: [string, Fault][] = [
    ['answers 503', answerStatus(503)],
    ['answers 429', answerStatus(429)],
    ['ends connections without an answer', ({ response }) => response.socket?.destroy()],
    ['resets connections in its answers', resetAfter(10)],
  ]
  for (const [name, fault] of passing) {
    it(`go on when a store that ${name} is well again after half a minute`, async () => {
      harness.server.always = fault
      onWait = () => {
        if (nowMs >= 30_000) harness.server.always = undefined
      }
      await read(patient(60_000))
      assert.ok(nowMs >= 30_000 && nowMs < 33_000, `${nowMs} ms`)
      assert.equal(harness.stats.readFailures, 0)
      assert.equal(harness.stats.misses, 2)
    })
  }

  it('go on when the store was stopped and started again', async () => {
    const { origin } = harness.server
    const source = patient(60_000)
    await harness.server.stop()
    let again: BlobServer | undefined
    onWait = async () => {
      if (nowMs < 20_000 || again !== undefined) return
      const path = `/blobs/sha256/${hexOf(pack.table.digest)}`
      again = await BlobServer.start(new Map([[path, pack.stored]]), Number(new URL(origin).port))
    }
    await read(source)
    assert.equal(again?.requests.length, 1)
    await again.stop()
  })

  it('ask a failing server once a second, whatever number of reads wait', async () => {
    harness.server.always = answerStatus(503)
    const source = patient(60_000)
    const reads = Array.from({ length: 5 }, (_, i) => read(source, i * 40 * KIB))
    for (const outcome of await Promise.allSettled(reads)) assert.equal(outcome.status, 'rejected')
    const { length } = harness.server.requests
    // Five ranges were under way when the first failures came. Then there was one request a second.
    assert.ok(length <= 2 * 5 + nowMs / 1000, `${length} requests in ${nowMs} ms`)
    assert.ok(harness.stats.httpRefusals > 0)
  })

  it('fail when the operator does not want to wait longer', async () => {
    harness.server.always = answerStatus(503)
    await assert.rejects(read(patient(5_000)), { code: 'fetch-failed' })
    assert.ok(nowMs >= 5_000 && nowMs < 6_100, `${nowMs} ms`)
    const before = waits
    await assert.rejects(read(patient(0)), { code: 'fetch-failed' })
    assert.equal(waits, before)
  })

  it('end at their deadline, with the last failure in the error', async () => {
    harness.server.always = answerStatus(503)
    const stop = new AbortController()
    onWait = () => {
      if (nowMs < 10_000) return
      stop.abort(new FusefsError('fetch-timeout', 'not answered in time'))
      stop.signal.throwIfAborted()
    }
    await assert.rejects(read(patient(HOUR_MS), 0, stop.signal), {
      code: 'fetch-timeout',
      message: /not answered in time; the last attempt: .*503/,
    })
  })

  const final: [string, Fault, string][] = [
    ['a blob that is not there', answerStatus(404), 'blob-not-found'],
    ['access that is forbidden', answerStatus(403), 'fetch-failed'],
    ['wrong bytes', flipBitAt(100), 'verification-failed'],
  ]
  for (const [name, fault, code] of final) {
    it(`fail at once for ${name}`, async () => {
      harness.server.always = fault
      await assert.rejects(read(patient(HOUR_MS)), { code })
      assert.equal(waits, 0)
      assert.ok(harness.server.requests.length <= 2)
    })
  }

  it('wait for a store that may have what another lacks', async () => {
    const empty = harness.sourceAt(await harness.secondServer([]))
    const both = FailoverSource.create({ sources: [empty, patient(60_000)] }, harness)
    harness.server.always = answerStatus(503)
    onWait = () => {
      if (nowMs >= 10_000) harness.server.always = undefined
    }
    await read(both)
    assert.ok(waits > 0)
  })

  it('ask every store before wrong bytes end them', async () => {
    const servers = [await harness.secondServer([pack]), await harness.secondServer([pack])]
    const others = servers.map((server) => harness.sourceAt(server, { retryForMs: HOUR_MS }))
    const all = FailoverSource.create({ sources: [patient(HOUR_MS), ...others] }, harness)
    for (const server of [harness.server, servers[0]]) {
      if (server !== undefined) server.always = flipBitAt(100)
    }
    await read(all)
    for (const server of servers) server.always = flipBitAt(21 * KIB)
    harness.server.always = flipBitAt(21 * KIB)
    await store.close()
    store = await harness.open({ cacheDir: undefined })
    await assert.rejects(read(all), { code: 'verification-failed' })
    assert.equal(waits, 0)
  })

  it('wait for a store that fails when the other one sent wrong bytes', async () => {
    const wrong = await harness.secondServer([pack])
    wrong.always = flipBitAt(100)
    const sources = [harness.sourceAt(wrong, { retryForMs: HOUR_MS }), patient(HOUR_MS)]
    const both = FailoverSource.create({ sources }, harness)
    harness.server.always = answerStatus(503)
    onWait = () => {
      if (nowMs >= 10_000) harness.server.always = undefined
    }
    await read(both)
    assert.ok(waits > 0)
    assert.equal(wrong.requests.length, 1)
  })

  it('do not wait for a failing store while another has the content', async () => {
    const other = harness.sourceAt(await harness.secondServer([pack]))
    const both = FailoverSource.create({ sources: [patient(HOUR_MS), other] }, harness)
    harness.server.always = answerStatus(503)
    await read(both)
    assert.equal(waits, 0)
  })

  it('fetch what a read still lacks in one request, after what came has been kept', async () => {
    const second = pack.table.frames[1]
    assert.ok(second !== undefined)
    harness.server.always = ({ response, blob, range }) => {
      // The first frame arrives, the second does not.
      resetAfter(Math.max(0, second.offset - range.offset))({
        response,
        blob,
        range,
        request: response.req,
      })
    }
    onWait = () => {
      harness.server.always = undefined
    }
    await read(patient(60_000, { maxAttempts: 1 }))
    const last = harness.server.requests.at(-1)?.headers.range
    assert.equal(last, `bytes=${second.offset}-${second.offset + second.sizeBytes - 1}`)
  })
})
