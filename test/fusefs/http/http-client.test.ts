import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import type { Agent } from 'undici'
import {
  type Authorizer,
  createHttpAgent,
  createHttpCounters,
  DEFAULT_HTTP_LIMITS,
  type ExchangeLimits,
  HttpClient,
  HttpFailure,
  type HttpFailureReason,
  type TimedExchange,
  type Timing,
} from '../../../fusefs/index.js'
import { REGISTRY_LIMITS } from '../../../snapshotter/images/registry/registry-limits.js'
import { answer, breakOff, FaultyServer, hangUp, neverAnswer } from './faulty-server.js'

const NEVER = new AbortController().signal
const ok = answer(200, {}, 'the content')
const NOW_MS = Date.parse('2030-01-01T00:00:00Z')

/** The limits that each user of the client passes, by the user's name. */
const users: Record<string, ExchangeLimits> = {
  'content ranges': DEFAULT_HTTP_LIMITS,
  registries: REGISTRY_LIMITS,
}

for (const [user, limits] of Object.entries(users)) {
  describe(`HttpClient with the limits of ${user}`, () => {
    const servers: FaultyServer[] = []
    let agent: Agent
    let counters: ReturnType<typeof createHttpCounters>
    /** The waits before retries, with the largest possible jitter. None is really waited for. */
    let waitsMs: number[]

    beforeEach(() => {
      agent = createHttpAgent({})
      counters = createHttpCounters()
      waitsMs = []
    })
    afterEach(async () => {
      await agent.destroy()
      await Promise.all(servers.splice(0).map((server) => server.stop()))
    })

    async function listen(...answers: RequestListener[]): Promise<FaultyServer> {
      const server = await FaultyServer.start(...answers)
      servers.push(server)
      return server
    }

    function client(
      authorizer?: Authorizer,
      changed: Partial<ExchangeLimits> = {},
      explainRefusal?: (body: Uint8Array) => string,
    ): HttpClient {
      const timing: Timing = {
        nowMs: () => NOW_MS,
        random: () => 1,
        sleep: (ms, signal) => {
          waitsMs.push(ms)
          signal.throwIfAborted()
          return Promise.resolve()
        },
      }
      return new HttpClient(
        { limits: { ...limits, ...changed }, ...(explainRefusal && { explainRefusal }) },
        { dispatcher: agent, authorizer, counters, timing },
      )
    }

    function get(server: FaultyServer, changed: Partial<TimedExchange> = {}): TimedExchange {
      const url = new URL(`${server.origin}/some/thing?key=hidden`)
      return { method: 'GET', url, expect: [200], timeoutMs: 60_000, signal: NEVER, ...changed }
    }

    async function text(asked: HttpClient, exchange: TimedExchange): Promise<string> {
      return (await asked.read(exchange, 1000)).bytes.toString()
    }

    async function failure(
      work: Promise<unknown>,
      reason: HttpFailureReason,
    ): Promise<HttpFailure> {
      let thrown: unknown
      await assert.rejects(work, (error) => {
        thrown = error
        return true
      })
      assert.ok(thrown instanceof HttpFailure, String(thrown))
      assert.equal(thrown.reason, reason, thrown.message)
      assert.doesNotMatch(thrown.message, /hidden/)
      return thrown
    }

    const passing: Record<string, RequestListener> = {
      'status 408': answer(408),
      'status 425': answer(425),
      'status 429': answer(429),
      'status 500': answer(500),
      'status 503': answer(503),
      'a connection that ends': hangUp,
      'a body that breaks off': breakOff,
    }
    for (const [name, fault] of Object.entries(passing)) {
      it(`asks again after ${name}, with a back-off that doubles`, async () => {
        const server = await listen(fault, fault, ok)
        assert.equal(await text(client(), get(server)), 'the content')
        assert.equal(server.requests.length, 3)
        assert.deepEqual(waitsMs, [limits.backOffBaseMs, 2 * limits.backOffBaseMs])
        assert.deepEqual([counters.httpRequests, counters.httpRetries], [3, 2])
      })

      it(`gives up after ${name} each time`, async () => {
        const server = await listen(fault)
        await assert.rejects(text(client(), get(server)), HttpFailure)
        assert.equal(server.requests.length, limits.maxAttempts)
      })
    }

    for (const status of [400, 403, 404, 405, 410, 416]) {
      it(`asks once where the answer is ${status}`, async () => {
        const server = await listen(answer(status))
        const refused = await failure(text(client(), get(server)), 'status')
        assert.equal(refused.status, status)
        assert.equal(server.requests.length, 1)
      })
    }

    it('waits no longer than its cap for Retry-After in seconds, and adds jitter', async () => {
      const server = await listen(
        answer(503, { 'retry-after': '2' }),
        answer(429, { 'retry-after': '3600' }),
        ok,
      )
      await text(client(), get(server))
      const { backOffBaseMs, retryAfterCapMs } = limits
      assert.deepEqual(waitsMs, [2000 + backOffBaseMs, retryAfterCapMs + 2 * backOffBaseMs])
    })

    it('understands Retry-After as a date, and ignores one that is over and one that is none', async () => {
      const server = await listen(
        answer(503, { 'retry-after': new Date(NOW_MS + 3000).toUTCString() }),
        answer(503, { 'retry-after': new Date(NOW_MS - 3000).toUTCString() }),
        answer(503, { 'retry-after': 'soon' }),
        ok,
      )
      await text(client(), get(server))
      const base = limits.backOffBaseMs
      assert.deepEqual(waitsMs, [3000 + base, 2 * base, 4 * base])
    })

    it('lets its back-off grow to a cap', async () => {
      const server = await listen(answer(500))
      await failure(text(client(undefined, { maxAttempts: 12 }), get(server)), 'status')
      assert.equal(waitsMs.length, 11)
      assert.equal(waitsMs.at(-1), limits.backOffCapMs)
    })

    it('does not repeat an exchange that may be sent once', async () => {
      const server = await listen(answer(500), ok)
      await failure(client().send(get(server, { method: 'POST', attempts: 1 })), 'status')
      assert.equal(server.requests.length, 1)
    })

    it('says what a refusal says where the user knows how to read it', async () => {
      const explain = (body: Uint8Array): string => ` (${Buffer.from(body).toString()})`
      const server = await listen(answer(400, {}, 'a reason'))
      const refused = await failure(text(client(undefined, {}, explain), get(server)), 'status')
      assert.match(refused.message, /answered 400 \(a reason\)$/)
    })

    it('reads no more of a body than it may', async () => {
      const server = await listen(answer(200, {}, 'x'.repeat(2000)))
      await failure(text(client(), get(server)), 'too-large')
      assert.equal(server.requests.length, 1)
    })

    it('follows redirects of GET, and takes credentials to their own origin only', async () => {
      const elsewhere = await listen(ok)
      const server = await listen(
        answer(302, { location: '/other' }),
        answer(307, { location: `${elsewhere.origin.replace('//', '//user:word@')}/signed?key=1` }),
      )
      assert.equal(await text(client(bearer('secret')), get(server)), 'the content')
      assert.deepEqual(
        server.requests.map(({ authorization }) => authorization),
        ['Bearer secret', 'Bearer secret'],
      )
      assert.deepEqual(elsewhere.requests, [
        { method: 'GET', url: '/signed?key=1', authorization: undefined },
      ])
      assert.equal(counters.httpRedirects, 2)
    })

    it('answers no challenge of another origin', async () => {
      const elsewhere = await listen(answer(401, { 'www-authenticate': 'Basic realm="x"' }))
      const server = await listen(answer(302, { location: elsewhere.origin }))
      const authorizer = bearer('secret')
      await failure(text(client(authorizer), get(server)), 'status')
      assert.deepEqual(authorizer.challenges, [])
      assert.deepEqual(elsewhere.requests[0]?.authorization, undefined)
    })

    it('follows no redirect of a request with an effect, and none where it may not', async () => {
      const target = await listen(ok)
      const server = await listen(answer(307, { location: target.origin }))
      await failure(client().send(get(server, { method: 'PUT' })), 'status')
      await failure(client().send(get(server, { follow: 'none' })), 'status')
      assert.equal(target.requests.length, 0)
    })

    it('follows a bounded number of redirects, and none to a file', async () => {
      const circle = await listen(answer(302, { location: '/again' }))
      await failure(text(client(), get(circle)), 'redirect')
      assert.equal(circle.requests.length, 1 + limits.maxRedirects)
      const file = await listen(answer(302, { location: 'file:///etc/passwd' }))
      await failure(text(client(), get(file)), 'redirect')
      assert.equal(file.requests.length, 1)
    })

    it('answers one challenge for an exchange', async () => {
      const refusal = answer(401, { 'www-authenticate': 'Bearer realm="x"' })
      const server = await listen(refusal, ok)
      const authorizer = bearer(undefined)
      assert.equal(await text(client(authorizer), get(server)), 'the content')
      assert.deepEqual(
        server.requests.map(({ authorization }) => authorization),
        [undefined, 'Bearer fresh'],
      )
      const stubborn = await listen(refusal)
      const refused = await failure(text(client(authorizer), get(stubborn)), 'status')
      assert.equal(refused.status, 401)
      assert.equal(stubborn.requests.length, 2)
    })

    it('asks again where the authorizer failed, unless its user says that this is final', async () => {
      const server = await listen(ok)
      const failing: Authorizer = {
        headersFor: () => Promise.reject(new Error('no token')),
        challenge: () => Promise.resolve(false),
      }
      const refused = await failure(text(client(failing), get(server)), 'credentials')
      assert.match(refused.message, /no token/)
      assert.equal(waitsMs.length, limits.maxAttempts - 1)
      waitsMs.length = 0
      const once = new HttpClient(
        { limits, isPassingAuthorizerError: () => false },
        { dispatcher: agent, authorizer: failing, counters },
      )
      await failure(text(once, get(server)), 'credentials')
      assert.equal(waitsMs.length, 0)
      assert.equal(server.requests.length, 0)
    })

    it('ends at its deadline, and when its caller gives up', async () => {
      const server = await listen(neverAnswer)
      await failure(text(client(), get(server, { timeoutMs: 100 })), 'deadline')
      const stop = new AbortController()
      const work = text(client(), get(server, { signal: stop.signal }))
      stop.abort()
      await failure(work, 'aborted')
    })
  })
}

/** Gives `known` as credentials for every URL, and "fresh" after a challenge. */
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
