import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type ContentStore,
  DEFAULT_CONTENT_LIMITS,
  FailoverSource,
  FusefsError,
  type FusefsErrorCode,
} from '../../../fusefs/index.js'
import {
  answerRange,
  answerStatus,
  answerWhole,
  endAfter,
  type Fault,
  flipBitAt,
  neverAnswer,
  resetAfter,
} from './blob-server.js'
import { ContentHarness } from './content-harness.js'
import { packFixture } from './pack-fixture.js'

const KIB = 1024
const NEVER = new AbortController().signal
const pack = packFixture({ frameSizes: Array.from({ length: 20 }, (_, i) => 20 * KIB + i) })
const FRAME = pack.table.frames[3]

describe('ContentStore over a store with faults', () => {
  let harness: ContentHarness
  let store: ContentStore
  let skippedMs: number

  beforeEach(async () => {
    skippedMs = 0
    harness = await ContentHarness.start([pack])
    harness.patience = { now: () => performance.now() + skippedMs }
    store = await harness.open({ maxGapBytes: 1 })
  })

  afterEach(() => harness.stop())

  async function read(
    rawOffset: number,
    length: number,
    options: { signal?: AbortSignal; source?: typeof harness.source } = {},
  ): Promise<Buffer> {
    const target = Buffer.alloc(length)
    const source = options.source ?? harness.source
    await store.read({ pack: pack.table, rawOffset, target, source }, options.signal ?? NEVER)
    return target
  }

  function assertRight(bytes: Buffer, rawOffset: number): void {
    assert.ok(bytes.equals(pack.raw.subarray(rawOffset, rawOffset + bytes.length)))
  }

  const lasting: [string, Fault, FusefsErrorCode][] = [
    ['a flipped bit', flipBitAt((FRAME?.offset ?? 0) + 100), 'verification-failed'],
    ['a missing pack', answerStatus(404), 'blob-not-found'],
    ['a failing server', answerStatus(500), 'fetch-failed'],
    ['a truncated answer', endAfter(10), 'truncated-answer'],
    ['a connection that is always reset', resetAfter(10), 'truncated-answer'],
    ['a server that never answers', neverAnswer, 'fetch-timeout'],
    ['another blob in place of the pack', answerZeros, 'verification-failed'],
  ]
  for (const [name, fault, code] of lasting) {
    it(`answers ${code} for ${name}, says so once, and the same read succeeds later`, async () => {
      const rawOffset = (FRAME?.rawOffset ?? 0) + 5
      harness.server.always = fault
      for (let i = 0; i < 2; i++) {
        await assert.rejects(read(rawOffset, 1000), { name: 'FusefsError', code })
      }
      const lines = harness.log.lines.filter((line) => line.level === 'warn')
      assert.equal(lines.length, 1, JSON.stringify(lines))
      assert.ok(JSON.stringify(lines[0]?.fields).includes(pack.table.digest))
      assert.equal(store.usageBytes(), 0)
      assert.equal(store.load().memoryBytes, 0)
      assert.equal(harness.stats.readFailures, 2)
      harness.server.always = undefined
      skippedMs += DEFAULT_CONTENT_LIMITS.knownFailureMs
      assertRight(await read(rawOffset, 1000), rawOffset)
    })
  }

  it('answers 300 reads of a missing pack with a few requests and one line', async () => {
    await store.close()
    store = await harness.open({ maxGapBytes: 1, maxReadRangeBytes: 1 })
    harness.server.always = answerStatus(404)
    const frames = pack.table.frames
    for (let round = 0; round < 15; round++) {
      const reads = frames.map((frame) => read(frame.rawOffset, 10))
      for (const { status } of await Promise.allSettled(reads)) assert.equal(status, 'rejected')
    }
    assert.equal(harness.server.requests.length, DEFAULT_CONTENT_LIMITS.maxConcurrentFetches)
    assert.equal(harness.stats.knownFailures, 300 - harness.server.requests.length)
    assert.equal(harness.log.lines.length, 1)
    const line = JSON.stringify(harness.log.lines[0])
    assert.ok(line.length < 1_000 && !line.includes('stack'), line)
    skippedMs += DEFAULT_CONTENT_LIMITS.knownFailureMs
    harness.server.always = undefined
    assertRight(await read(0, pack.raw.length), 0)
  })

  it('answers 300 reads of a frame with wrong bytes with two requests', async () => {
    const rawOffset = FRAME?.rawOffset ?? 0
    harness.server.always = flipBitAt((FRAME?.offset ?? 0) + 100)
    for (let i = 0; i < 300; i++) {
      await assert.rejects(read(rawOffset, 10), { code: 'verification-failed' })
    }
    assert.equal(harness.server.requests.length, 2)
    // The other frames of the pack are not concerned.
    assertRight(await read(0, 10), 0)
  })

  it('does not take a range that is beyond the end for a pack that is not there', async () => {
    harness.server.faults.push(answerStatus(416))
    await assert.rejects(read(FRAME?.rawOffset ?? 0, 10), { code: 'blob-not-found' })
    assertRight(await read(0, 10), 0)
    await assert.rejects(read(FRAME?.rawOffset ?? 0, 10), { code: 'blob-not-found' })
    assert.equal(harness.server.requests.length, 2)
  })

  it('asks once more when a frame does not verify, and serves what the second answer holds', async () => {
    harness.server.faults.push(flipBitAt((FRAME?.offset ?? 0) + 100))
    assertRight(await read(0, pack.raw.length), 0)
    assert.equal(harness.stats.verifyFailures, 1)
    assert.equal(harness.server.requests.length, 2)
  })

  it('serves the frames of a range that verify when one does not', async () => {
    harness.server.always = flipBitAt((FRAME?.offset ?? 0) + 100)
    const all = read(0, pack.raw.length)
    const before = read(0, FRAME?.rawOffset ?? 0)
    const after = (FRAME?.rawOffset ?? 0) + (FRAME?.rawSizeBytes ?? 0)
    const rest = read(after, pack.raw.length - after)
    assertRight(await before, 0)
    assertRight(await rest, after)
    await assert.rejects(all, { code: 'verification-failed' })
  })

  it('works with a server that has no range support', async () => {
    harness.server.always = answerWhole
    assertRight(await read(100 * KIB, 100 * KIB), 100 * KIB)
  })

  it('asks the other store when one sends wrong bytes, and the first one last from then on', async () => {
    const other = harness.sourceAt(await harness.secondServer([pack]))
    const both = FailoverSource.create({ sources: [harness.source, other] }, harness)
    harness.server.always = flipBitAt((FRAME?.offset ?? 0) + 100)
    assertRight(await read(FRAME?.rawOffset ?? 0, 10, { source: both }), FRAME?.rawOffset ?? 0)
    assert.equal(harness.server.requests.length, 1)
    assertRight(await read(200 * KIB, 10, { source: both }), 200 * KIB)
    assert.equal(harness.server.requests.length, 1)
  })

  it('goes on at the other store when one breaks off, from the byte it reached', async () => {
    const secondServer = await harness.secondServer([pack])
    const other = harness.sourceAt(secondServer)
    const both = FailoverSource.create({ sources: [harness.source, other] }, harness)
    harness.server.always = endAfter(1000)
    harness.server.faults.push(endAfter(2000))
    assertRight(await read(0, 100 * KIB, { source: both }), 0)
    assert.equal(secondServer.requests[0]?.headers.range?.startsWith('bytes=3000-'), true)
  })

  it('fetches once for a hundred readers of the same frames', async () => {
    const reads = Array.from({ length: 100 }, (_, i) => read(i * 10, 100 * KIB))
    for (const [i, bytes] of (await Promise.all(reads)).entries()) assertRight(bytes, i * 10)
    assert.equal(harness.server.requests.length, 1)
  })

  it('fetches for the others when one of the readers gives up', async () => {
    harness.server.faults.push(answerLater(100))
    const stop = new AbortController()
    const impatient = read(0, 10, { signal: stop.signal })
    const patient = read(5, 10)
    setTimeout(() => {
      stop.abort()
    }, 20)
    await assert.rejects(impatient, { code: 'aborted' })
    assertRight(await patient, 5)
    assert.equal(harness.server.requests.length, 1)
  })

  it('lets a request go on whose reader was late, and serves the next reader from it', async () => {
    let proceed = (): void => undefined
    harness.server.faults.push(({ response, blob, range }) => {
      proceed = () => {
        answerRange(blob, range, response)
      }
    })
    const late = new AbortController()
    const first = read(0, 10, { signal: late.signal })
    while (harness.server.requests.length === 0) await sleep(5)
    late.abort(new FusefsError('fetch-timeout', 'too late'))
    await assert.rejects(first, { code: 'fetch-timeout', message: 'too late' })
    const second = read(0, 10)
    proceed()
    assertRight(await second, 0)
    assert.equal(harness.server.requests.length, 1)
  })

  it('gives up a request that nobody waits for, and serves the next reader with another', async () => {
    harness.server.faults.push(neverAnswer)
    const stop = new AbortController()
    const only = read(0, 10, { signal: stop.signal })
    await sleep(30)
    stop.abort()
    await assert.rejects(only, { code: 'aborted' })
    assertRight(await read(0, 10), 0)
    assert.equal(harness.stats.httpRetries, 0)
    assert.equal(harness.server.requests.length, 2)
  })

  it('fetches nothing for a reader that gave up while it waited for its turn', async () => {
    await store.close()
    store = await harness.open({ maxConcurrentFetches: 1, maxGapBytes: 1 })
    harness.server.faults.push(answerLater(100))
    const running = read(0, 10)
    await sleep(30)
    const stop = new AbortController()
    const waiting = read(200 * KIB, 10, { signal: stop.signal })
    await sleep(10)
    assert.equal(store.load().queuedFrames, 1)
    stop.abort()
    await assert.rejects(waiting, { code: 'aborted' })
    assert.equal(store.load().queuedFrames, 0)
    assertRight(await running, 0)
    assert.equal(harness.server.requests.length, 1)
  })

  it('refuses more frames than may wait', async () => {
    await store.close()
    store = await harness.open({ maxQueuedFrames: 5 })
    await assert.rejects(read(0, pack.raw.length), { code: 'fetch-failed', message: /too many/ })
    assertRight(await read(0, 10), 0)
  })

  it('does not fail a reader because of the store of another', async () => {
    const dead = harness.sourceAt(await harness.secondServer([]))
    const wrong = read(0, 10, { source: dead })
    const right = read(0, 10)
    await assert.rejects(wrong, { code: 'blob-not-found' })
    assertRight(await right, 0)
  })

  it('fetches what a reader wants before what is prefetched', async () => {
    await store.close()
    store = await harness.open({
      maxConcurrentFetches: 1,
      maxPrefetchRangeBytes: 1,
      maxGapBytes: 1,
    })
    harness.server.always = ({ response, blob, range }) => {
      setTimeout(() => {
        answerRange(blob, range, response)
      }, 5)
    }
    const frames = { first: 0, count: 20 }
    const prefetch = store.prefetch({ pack: pack.table, frames, source: harness.source }, NEVER)
    await sleep(12)
    const last = pack.table.frames.at(-1)
    await read(last?.rawOffset ?? 0, 10)
    assert.ok(harness.server.requests.length <= 6, `${harness.server.requests.length} requests`)
    await prefetch
    assert.equal(harness.server.requests.length, 20)
    assert.equal(store.usageBytes(), pack.raw.length)
  })

  it('leaves no more requests under way than it may', async () => {
    await store.close()
    store = await harness.open({ maxConcurrentFetches: 2, maxReadRangeBytes: 1, maxGapBytes: 1 })
    let now = 0
    let most = 0
    harness.server.always = ({ response, blob, range }) => {
      most = Math.max(most, ++now)
      setTimeout(() => {
        now--
        answerRange(blob, range, response)
      }, 5)
    }
    assertRight(await read(0, pack.raw.length), 0)
    assert.equal(most, 2)
    assert.equal(harness.server.requests.length, 20)
  })

  it('bridges a small gap between wanted frames with one request', async () => {
    await store.close()
    store = await harness.open({ maxGapBytes: 1024 * KIB })
    const at = (i: number): number => pack.table.frames[i]?.rawOffset ?? 0
    await Promise.all([read(at(2), 10), read(at(9), 10), read(at(5), 10)])
    assert.equal(harness.server.requests.length, 1)
    assert.equal(harness.stats.framesDecoded, 3)
  })

  it('never serves the bytes of one frame table to a reader with another', async () => {
    const [first, ...others] = pack.table.frames
    assert.ok(first !== undefined)
    const lie = {
      ...pack.table,
      frames: [{ ...first, digest: others[0]?.digest ?? first.digest }, ...others],
    }
    assertRight(await read(0, pack.raw.length), 0)
    const target = Buffer.alloc(10)
    const request = { pack: lie, rawOffset: 0, target, source: harness.source }
    await assert.rejects(store.read(request, NEVER), { code: 'verification-failed' })
    assertRight(await read(0, 10), 0)
  })

  it('refuses ranges and tables that cannot be', async () => {
    const { table } = pack
    await assert.rejects(read(pack.raw.length, 1), { code: 'invalid-argument' })
    await assert.rejects(read(-1, 1), { code: 'invalid-argument' })
    const target = Buffer.alloc(1)
    const tables = [
      { ...table, frames: [] },
      { ...table, frames: table.frames.slice(1) },
      { ...table, rawSizeBytes: table.rawSizeBytes + 1 },
      { ...table, sizeBytes: table.sizeBytes - 1 },
      { ...table, frames: table.frames.map((frame) => ({ ...frame, sizeBytes: 2 ** 40 })) },
    ]
    for (const wrong of tables) {
      const request = { pack: wrong, rawOffset: 0, target, source: harness.source }
      await assert.rejects(store.read(request, NEVER), { code: 'invalid-argument' })
    }
    assert.equal(harness.server.requests.length, 0)
  })

  it('fails what is under way when it is closed, and every read after that', async () => {
    harness.server.always = neverAnswer
    await store.close()
    store = await harness.open({ maxConcurrentFetches: 1, maxGapBytes: 1 })
    const running = read(0, 10)
    await sleep(30)
    const waiting = read(200 * KIB, 10)
    const closing = store.close()
    await assert.rejects(running, { code: 'aborted' })
    await assert.rejects(waiting, { code: 'aborted' })
    await closing
    await assert.rejects(read(0, 10), { code: 'aborted' })
  })
})

function answerZeros({ response, blob, range }: Parameters<Fault>[0]): void {
  answerRange(Buffer.alloc(blob.length), range, response)
}

function answerLater(delayMs: number): Fault {
  return ({ response, blob, range }) => {
    setTimeout(() => {
      answerRange(blob, range, response)
    }, delayMs)
  }
}
