import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Authorizer,
  type ContentStats,
  createContentStats,
  type FusefsErrorCode,
  HttpBlobSource,
  type HttpLimits,
  storeUrlFromString,
} from '../../../fusefs/index.js'
import { digestOf, hexOf } from '../../../index-format/index.js'
import {
  answerRange,
  answerStatus,
  answerWhole,
  BlobServer,
  endAfter,
  type Fault,
  neverAnswer,
  partialHeaders,
  resetAfter,
  stallAfter,
} from './blob-server.js'
import { noise } from './pack-fixture.js'
import { createTestLog } from './test-log.js'

const KIB = 1024
const NEVER = new AbortController().signal
const blob = noise(1024 * KIB, 7)
const digest = digestOf(blob)
const STATIC_PATH = `/base/blobs/sha256/${hexOf(digest)}`
const REGISTRY_PATH = `/v2/some/app/blobs/${digest}`

const QUICK: Partial<HttpLimits> = {
  headersTimeoutMs: 1000,
  bodyInactivityTimeoutMs: 1000,
  backOffBaseMs: 5,
  backOffCapMs: 20,
  minProgressBytes: 1,
}

describe('HttpBlobSource', function () {
  this.timeout(30_000)
  let server: BlobServer
  let elsewhere: BlobServer
  let stats: ContentStats
  let log: ReturnType<typeof createTestLog>
  const sources: HttpBlobSource[] = []

  beforeEach(async () => {
    const blobs = new Map([STATIC_PATH, REGISTRY_PATH, '/signed'].map((path) => [path, blob]))
    server = await BlobServer.start(blobs)
    elsewhere = await BlobServer.start(blobs)
    stats = createContentStats()
    log = createTestLog()
  })

  afterEach(async () => {
    await Promise.all(sources.splice(0).map((source) => source.close()))
    await server.stop()
    await elsewhere.stop()
  })

  function open(options: { limits?: Partial<HttpLimits>; authorizer?: Authorizer } = {}) {
    const url = storeUrlFromString(
      options.authorizer === undefined ? `${server.origin}/base` : `oci+${server.origin}/some/app`,
    )
    if (url.kind === 'file') throw new Error('not an HTTP store')
    const limits = { ...QUICK, ...options.limits }
    const { authorizer } = options
    const source = HttpBlobSource.create({ url, limits }, { log, stats, authorizer })
    sources.push(source)
    return source
  }

  async function fetch(
    source: HttpBlobSource,
    range = { offset: 1000, length: 300 * KIB },
    signal = NEVER,
  ): Promise<Buffer> {
    const pieces: Uint8Array[] = []
    for await (const piece of source.stream({ digest, ...range }, signal)) pieces.push(piece)
    return Buffer.concat(pieces)
  }

  function wanted(range = { offset: 1000, length: 300 * KIB }): Buffer {
    return blob.subarray(range.offset, range.offset + range.length)
  }

  async function assertFails(work: Promise<unknown>, code: FusefsErrorCode): Promise<Error> {
    let failure: unknown
    await assert.rejects(work, (error) => {
      failure = error
      return true
    })
    assert.ok(failure instanceof Error)
    assert.equal('code' in failure ? failure.code : '', code, failure.message)
    assert.ok(failure.message.includes(digest), failure.message)
    assert.ok(failure.message.includes(server.origin.slice('http://'.length)), failure.message)
    return failure
  }

  it('fetches a range, and keeps the connection for the next', async () => {
    const source = open()
    for (let i = 0; i < 5; i++) assert.ok((await fetch(source)).equals(wanted()))
    assert.equal(server.requests.length, 5)
    // There may be two connections: the pool opens another if the end of the last answer is not yet
    // seen.
    assert.ok(server.connections <= 2, `${server.connections} connections`)
    assert.equal(server.requests[0]?.headers['accept-encoding'], 'identity')
    assert.equal(stats.httpBytes, 5 * 300 * KIB)
  })

  it('opens no more connections than it may', async () => {
    const source = open({ limits: { connectionsPerOrigin: 3 } })
    await Promise.all(Array.from({ length: 20 }, () => fetch(source)))
    assert.ok(server.connections <= 3, `${server.connections} connections`)
  })

  it('cuts the range out of the whole blob where a server has no ranges, and warns once', async () => {
    server.always = answerWhole
    const source = open()
    assert.ok((await fetch(source)).equals(wanted()))
    assert.ok((await fetch(source)).equals(wanted()))
    assert.equal(stats.httpRangesIgnored, 2)
    assert.equal(log.lines.length, 1)
    assert.equal(log.lines[0]?.level, 'warn')
  })

  it('refuses to read up to a range that is too far where a server has no ranges', async () => {
    server.always = answerWhole
    const source = open({ limits: { maxSkippedBytes: 999 } })
    await assertFails(fetch(source), 'fetch-failed')
  })

  const interrupted: [string, Fault, number][] = [
    ['a connection reset in the body', resetAfter(100 * KIB), 1],
    ['a chunked body that ends too early', endAfter(100 * KIB), 1],
    ['a body that stalls', stallAfter(100 * KIB), 1],
    ['headers that do not come', neverAnswer, 0],
    ['a connection reset before the headers', ({ response }) => response.socket?.destroy(), 0],
    ['status 503', answerStatus(503), 0],
    ['status 429', answerStatus(429, { 'retry-after': '0' }), 0],
    [
      'status 500 with a date to wait for',
      answerStatus(500, { 'retry-after': 'Sat, 01 Jan 2000 00:00:00 GMT' }),
      0,
    ],
    ['a Content-Range of other bytes', wrongContentRange, 0],
    ['a Content-Range that ends too early', wrongEnd(-1), 0],
    ['a Content-Range that ends too late', wrongEnd(1), 0],
    ['a 206 without Content-Range', answerStatus(206), 0],
  ]
  for (const [name, fault, progress] of interrupted) {
    it(`goes on after ${name}, from the byte it reached`, async () => {
      server.faults.push(fault)
      assert.ok((await fetch(open())).equals(wanted()))
      assert.equal(server.requests.length, 2)
      assert.equal(stats.httpRetries, 1)
      const second = server.requests[1]?.headers.range ?? ''
      const restart = Number(/^bytes=(\d+)-/.exec(second)?.[1])
      if (progress === 0) assert.equal(restart, 1000)
      else assert.equal(restart, 1000 + 100 * KIB)
    })
  }

  const hopeless: [string, Fault, FusefsErrorCode, number][] = [
    ['headers never come', neverAnswer, 'fetch-timeout', 3],
    ['every connection is reset', resetAfter(0), 'truncated-answer', 3],
    ['every answer is 503', answerStatus(503), 'fetch-failed', 3],
    ['every Content-Range is wrong', wrongContentRange, 'fetch-failed', 3],
    ['every body ends at once', endAfter(0), 'truncated-answer', 3],
    ['the blob is not there', answerStatus(404), 'blob-not-found', 1],
    ['the blob is shorter than the range', answerStatus(416), 'blob-not-found', 1],
    ['access is forbidden', answerStatus(403), 'fetch-failed', 1],
    ['a request is bad', answerStatus(400), 'fetch-failed', 1],
    ['the body is encoded', encoded, 'fetch-failed', 3],
    [
      'the redirect leads in a circle',
      answerStatus(302, { location: STATIC_PATH }),
      'fetch-failed',
      6,
    ],
    [
      'the redirect leads to a file',
      answerStatus(302, { location: 'file:///etc/passwd' }),
      'fetch-failed',
      1,
    ],
  ]
  for (const [name, fault, code, requests] of hopeless) {
    it(`fails with ${code} after a bounded number of requests when ${name}, then works again`, async () => {
      server.always = fault
      const source = open({ limits: { maxAttempts: 3 } })
      await assertFails(fetch(source), code)
      assert.equal(server.requests.length, requests)
      server.always = undefined
      assert.ok((await fetch(source)).equals(wanted()))
    })
  }

  it('fails with fetch-failed when nobody listens, naming what the system said', async () => {
    const source = open({ limits: { maxAttempts: 2 } })
    await server.stop()
    const error = await assertFails(fetch(source), 'fetch-failed').catch(
      (reason: unknown) => reason,
    )
    assert.match(String(error), /ECONNREFUSED|not up/)
    server = await BlobServer.start(new Map())
  })

  it('gives a range up at its deadline, however often a little arrives', async () => {
    server.always = stallAfter(10)
    const source = open({
      limits: { rangeDeadlineMs: 2500, bodyInactivityTimeoutMs: 1000, slowestBytesPerSecond: 1e9 },
    })
    const start = performance.now()
    await assertFails(fetch(source), 'fetch-timeout')
    assert.ok(performance.now() - start < 5000)
  })

  it('waits as long as Retry-After says, but no longer than its cap', async () => {
    server.faults.push(answerStatus(503, { 'retry-after': '3600' }))
    const source = open({ limits: { retryAfterCapMs: 300 } })
    const start = performance.now()
    await fetch(source)
    const waitedMs = performance.now() - start
    assert.ok(waitedMs >= 290 && waitedMs < 60_000, `${waitedMs} ms`)
  })

  it('ends at once when the caller gives up, and lets the connection go', async () => {
    server.always = neverAnswer
    const stop = new AbortController()
    const work = fetch(open(), undefined, stop.signal)
    setTimeout(() => {
      stop.abort()
    }, 50)
    const start = performance.now()
    await assertFails(work, 'aborted')
    // Without the abort, the source would wait 15 s for the answer.
    assert.ok(performance.now() - start < 5000)
    await sleep(50)
    assert.equal(server.openConnections, 0)
  })

  it('ends at once when the caller gives up during a back-off', async () => {
    server.always = answerStatus(503, { 'retry-after': '10' })
    const stop = new AbortController()
    setTimeout(() => {
      stop.abort()
    }, 50)
    const start = performance.now()
    await assertFails(fetch(open(), undefined, stop.signal), 'aborted')
    assert.ok(performance.now() - start < 5000)
  })

  it('follows a redirect to another origin without credentials, and remembers it', async () => {
    server.always = answerStatus(307, { location: `${elsewhere.origin}/signed?key=1` })
    const source = open({ authorizer: bearer('secret') })
    assert.ok((await fetch(source)).equals(wanted()))
    assert.ok((await fetch(source)).equals(wanted()))
    assert.equal(server.requests[0]?.headers.authorization, 'Bearer secret')
    assert.deepEqual(
      elsewhere.requests.map((request) => request.headers.authorization),
      [undefined, undefined],
    )
    assert.equal(server.requests.length, 1)
    assert.equal(elsewhere.requests[1]?.path, '/signed?key=1')
  })

  it('asks the store again when a remembered signed URL has expired', async () => {
    server.always = answerStatus(307, { location: `${elsewhere.origin}/signed?key=1` })
    const source = open({ authorizer: bearer('secret') })
    await fetch(source)
    elsewhere.faults.push(answerStatus(403))
    assert.ok((await fetch(source)).equals(wanted()))
    assert.equal(server.requests.length, 2)
    assert.equal(stats.httpRetries, 0)
  })

  it('keeps the query of a signed URL out of errors', async () => {
    server.always = answerStatus(307, { location: `${elsewhere.origin}/signed?key=hidden` })
    elsewhere.always = answerStatus(403)
    const error = await assertFails(fetch(open()), 'fetch-failed')
    assert.match(error.message, /answered 403/)
    assert.doesNotMatch(error.message, /hidden/)
  })

  it('answers one challenge, then sends the new credentials along', async () => {
    server.faults.push(answerStatus(401, { 'www-authenticate': 'Bearer realm="x"' }))
    const authorizer = bearer(undefined)
    const source = open({ authorizer })
    assert.ok((await fetch(source)).equals(wanted()))
    await fetch(source)
    assert.deepEqual(authorizer.challenges, ['Bearer realm="x"'])
    assert.deepEqual(
      server.requests.map((request) => request.headers.authorization),
      [undefined, 'Bearer fresh', 'Bearer fresh'],
    )
  })

  it('sends a refused request again when another got credentials meanwhile', async () => {
    server.faults.push(answerStatus(401), answerStatus(401))
    const authorizer = bearer(undefined)
    let first = true
    const challenge: Authorizer['challenge'] = (url, wwwAuthenticate) => {
      if (!first) return Promise.resolve(false)
      first = false
      return authorizer.challenge(url, wwwAuthenticate)
    }
    const source = open({
      authorizer: { headersFor: (url) => authorizer.headersFor(url), challenge },
    })
    for (const bytes of await Promise.all([fetch(source), fetch(source)])) {
      assert.ok(bytes.equals(wanted()))
    }
    assert.equal(server.requests.length, 4)
  })

  it('fails when the new credentials are refused too', async () => {
    server.always = answerStatus(401, { 'www-authenticate': 'Bearer realm="x"' })
    const authorizer = bearer(undefined)
    await assertFails(fetch(open({ authorizer })), 'fetch-failed')
    assert.equal(authorizer.challenges.length, 1)
    assert.equal(server.requests.length, 2)
  })

  it('does not wait for a token server longer than the deadline', async () => {
    const hanging: Authorizer = {
      headersFor: () => new Promise(() => undefined),
      challenge: () => Promise.resolve(false),
    }
    const limits = { rangeDeadlineMs: 300, slowestBytesPerSecond: 1e9 }
    await assertFails(fetch(open({ authorizer: hanging, limits })), 'fetch-timeout')
  })

  it('stops asking when the reader stops reading', async () => {
    const source = open()
    for await (const piece of source.stream({ digest, offset: 0, length: blob.length }, NEVER)) {
      assert.ok(piece.length > 0)
      break
    }
    await sleep(50)
    assert.equal(server.openConnections, 0)
  })
})

function wrongContentRange({ response, blob: bytes, range }: Parameters<Fault>[0]): void {
  const shifted = { offset: range.offset + 1, length: range.length }
  response.writeHead(206, partialHeaders(bytes, shifted))
  response.end(bytes.subarray(range.offset, range.offset + range.length))
}

/** The right bytes, but headers that name an end `by` bytes away. */
function wrongEnd(by: number): Fault {
  return ({ response, blob: bytes, range }) => {
    const headers = partialHeaders(bytes, { offset: range.offset, length: range.length + by })
    response.writeHead(206, { ...headers, 'content-length': range.length })
    response.end(bytes.subarray(range.offset, range.offset + range.length))
  }
}

function encoded({ response, blob: bytes, range }: Parameters<Fault>[0]): void {
  response.setHeader('content-encoding', 'gzip')
  answerRange(bytes, range, response)
}

/**
 * Credentials for a registry: token `known` from the start, and token "fresh" after a challenge.
 */
function bearer(known: string | undefined): Authorizer & { challenges: string[] } {
  let token = known
  const challenges: string[] = []
  return {
    challenges,
    headersFor: () =>
      Promise.resolve<Record<string, string>>(
        token === undefined ? {} : { authorization: `Bearer ${token}` },
      ),
    challenge: (_url, wwwAuthenticate) => {
      challenges.push(wwwAuthenticate)
      token = 'fresh'
      return Promise.resolve(true)
    },
  }
}
