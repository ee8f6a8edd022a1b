import assert from 'node:assert/strict'
import {
  type BlobSource,
  createContentStats,
  FailoverSource,
  sourceFromUrl,
} from '../../../fusefs/index.js'
import { digestOf, hexOf } from '../../../index-format/index.js'
import { answerStatus, BlobServer } from './blob-server.js'
import { noise } from './pack-fixture.js'
import { createTestLog } from './test-log.js'

const NEVER = new AbortController().signal
const blob = noise(200_000, 1)
const other = noise(1_000, 2)
const pathOf = (bytes: Buffer): string => `/blobs/sha256/${hexOf(digestOf(bytes))}`

describe('FailoverSource', () => {
  let servers: BlobServer[]
  let both: BlobSource
  let nowMs: number
  const log = createTestLog()
  const stats = createContentStats()

  beforeEach(async () => {
    log.lines.length = 0
    nowMs = 1000
    const complete = new Map([blob, other].map((bytes) => [pathOf(bytes), bytes]))
    servers = [
      await BlobServer.start(new Map([[pathOf(blob), blob]])),
      await BlobServer.start(complete),
    ]
    const sources = servers.map(({ origin }) =>
      sourceFromUrl({ url: origin, limits: { maxAttempts: 1 } }, { log, stats }),
    )
    const limits = { penaltyMs: 100, maxPenaltyMs: 150 }
    both = FailoverSource.create({ sources, limits }, { log, stats, now: () => nowMs })
  })

  afterEach(async () => {
    await both.close()
    await Promise.all(servers.map((server) => server.stop()))
  })

  async function fetch(bytes: Buffer): Promise<void> {
    const pieces: Uint8Array[] = []
    const range = { digest: digestOf(bytes), offset: 0, length: bytes.length }
    for await (const piece of both.stream(range, NEVER)) pieces.push(piece)
    assert.ok(Buffer.concat(pieces).equals(bytes))
  }

  function requests(): number[] {
    return servers.map((server) => server.requests.length)
  }

  it('asks the first store, and only that one, while it is well', async () => {
    await fetch(blob)
    await fetch(blob)
    assert.deepEqual(requests(), [2, 0])
  })

  it('asks a store that failed last for a while, then in its turn again', async () => {
    const [first] = servers
    assert.ok(first !== undefined)
    first.always = answerStatus(500)
    await fetch(blob)
    first.always = undefined
    await fetch(blob)
    assert.deepEqual(requests(), [1, 2])
    assert.equal(log.lines.length, 1)
    nowMs += 110
    await fetch(blob)
    assert.deepEqual(requests(), [2, 2])
  })

  it('asks the next store for a blob that one lacks, without holding it against that one', async () => {
    await fetch(other)
    await fetch(blob)
    assert.deepEqual(requests(), [2, 1])
    assert.deepEqual(log.lines, [])
  })

  it('says blob-not-found only where every store says so', async () => {
    const absent = { digest: digestOf(noise(10, 3)), offset: 0, length: 10 }
    const next = (): Promise<unknown> => both.stream(absent, NEVER)[Symbol.asyncIterator]().next()
    await assert.rejects(next(), { code: 'blob-not-found' })
    const [first] = servers
    assert.ok(first !== undefined)
    first.always = answerStatus(500)
    await assert.rejects(next(), (error) => {
      assert.ok(error instanceof Error && 'code' in error)
      assert.equal(error.code, 'fetch-failed')
      for (const { origin } of servers) assert.ok(error.message.includes(origin), error.message)
      return true
    })
  })

  it('asks a store that sent wrong bytes of a blob last, for that blob', async () => {
    await fetch(blob)
    both.distrust(digestOf(blob))
    await fetch(blob)
    assert.deepEqual(requests(), [1, 1])
    await fetch(other)
    assert.deepEqual(requests(), [2, 2])
  })

  it('does not ask the next store when the caller gave up', async () => {
    const range = { digest: digestOf(blob), offset: 0, length: 10 }
    const reading = both.stream(range, AbortSignal.abort())[Symbol.asyncIterator]().next()
    await assert.rejects(reading, { code: 'aborted' })
    assert.deepEqual(requests(), [0, 0])
  })

  it('refuses to be made of nothing', () => {
    assert.throws(() => FailoverSource.create({ sources: [] }, { log, stats }), {
      code: 'invalid-argument',
    })
  })
})
