import assert from 'node:assert/strict'
import type { Agent } from 'undici'
import {
  AddressPolicy,
  addressClass,
  createHttpAgent,
  createHttpCounters,
  DEFAULT_HTTP_LIMITS,
  type HostPort,
  HttpClient,
} from '../../../fusefs/index.js'
import { answer, FaultyServer } from './faulty-server.js'

const CLASSES: Record<string, readonly string[]> = {
  loopback: [
    '127.0.0.1',
    '127.255.0.9',
    '0.0.0.0',
    '::1',
    '::',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
  ],
  'link-local': ['169.254.169.254', 'fe80::1', 'fe80::1%eth0', '::ffff:a9fe:a9fe'],
  private: [
    ...['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', '100.64.0.1', '100.100.100.200'],
    ...[
      '192.0.0.8',
      '192.0.2.1',
      '198.18.0.1',
      '198.51.100.1',
      '203.0.113.1',
      '224.0.0.1',
      '255.255.255.255',
    ],
    ...[
      'fc00::1',
      'fd00:ec2::254',
      'ff02::1',
      '2001:db8::1',
      '2001::1',
      '::ffff:10.0.0.1',
      '2002:a00:1::',
    ],
    ...['fec0::1', 'not an address', ''],
  ],
  public: [
    '1.1.1.1',
    '172.32.0.1',
    '100.128.0.1',
    '192.0.1.1',
    '2606:4700::1111',
    '::ffff:8.8.8.8',
  ],
}

describe('addressClass', () => {
  for (const [expected, addresses] of Object.entries(CLASSES)) {
    for (const address of addresses) {
      it(`takes "${address}" for ${expected}`, () => {
        assert.equal(addressClass(address), expected)
      })
    }
  }
})

describe('AddressPolicy', () => {
  const home = { host: 'registry.corp', port: 443 }
  const other = { host: 'elsewhere.example', port: 443 }
  const create = (options: { home?: HostPort; named?: string } = {}): AddressPolicy =>
    new AddressPolicy({
      ...(options.home && { home: options.home }),
      isNamed: ({ host }) => host === options.named,
      remedy: 'name it',
    })

  it('allows public addresses, and refuses all others, saying what helps', () => {
    const policy = create()
    assert.equal(policy.refusal(other, '1.1.1.1'), undefined)
    for (const address of ['10.0.0.1', '127.0.0.1', '169.254.169.254']) {
      const refusal = policy.refusal(other, address)
      assert.equal(refusal?.reason, 'address')
      assert.equal(refusal.retryable, false)
      assert.ok(refusal.message.includes(address) && refusal.message.includes('name it'))
    }
  })

  it('allows a home anywhere, and others where the home was found', () => {
    const policy = create({ home })
    assert.ok(policy.refusal(other, '10.0.0.2'))
    assert.equal(policy.refusal(home, '10.0.0.1'), undefined)
    assert.equal(policy.refusal(other, '192.168.0.2'), undefined)
    assert.ok(policy.refusal(other, '127.0.0.1'))
    assert.ok(policy.refusal(other, '169.254.169.254'))
    assert.ok(policy.refusal({ ...home, port: 80 }, '127.0.0.1'), 'another port is another server')
  })

  it('allows named hosts anywhere', () => {
    const policy = create({ named: other.host })
    assert.equal(policy.refusal(other, '127.0.0.1'), undefined)
    assert.ok(policy.refusal(home, '127.0.0.1'))
  })
})

describe('createHttpAgent with an address policy', () => {
  let server: FaultyServer
  let agent: Agent | undefined

  before(async () => {
    server = await FaultyServer.start(answer(200, {}, 'the content'))
  })
  after(async () => {
    await server.stop()
  })
  afterEach(async () => {
    await agent?.destroy()
  })

  function get(host: string, policy: Partial<ConstructorParameters<typeof AddressPolicy>[0]> = {}) {
    const addresses = new AddressPolicy({ isNamed: () => false, remedy: 'name it', ...policy })
    agent = createHttpAgent({ addresses })
    const client = new HttpClient(
      { limits: DEFAULT_HTTP_LIMITS },
      { dispatcher: agent, counters: createHttpCounters() },
    )
    const url = new URL(server.origin)
    url.hostname = host
    const signal = new AbortController().signal
    return client.read({ method: 'GET', url, expect: [200], timeoutMs: 30_000, signal }, 100)
  }

  for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '0x7f.1']) {
    it(`connects to nothing at ${host}`, async () => {
      await assert.rejects(get(host), { reason: 'address', retryable: false })
      assert.deepEqual(server.requests, [])
    })
  }

  for (const host of ['127.0.0.1', 'localhost']) {
    it(`connects to a named host at ${host}`, async () => {
      const { bytes } = await get(host, { isNamed: (at) => at.host === host })
      assert.equal(bytes.toString(), 'the content')
      server.requests.length = 0
    })
  }

  it('follows no redirect to where it may not connect', async () => {
    const first = await FaultyServer.start(answer(307, { location: `${server.origin}/secret` }))
    try {
      const { port } = new URL(first.origin)
      const isNamed = (at: HostPort): boolean => at.port === Number(port)
      agent = createHttpAgent({ addresses: new AddressPolicy({ isNamed, remedy: 'name it' }) })
      const client = new HttpClient(
        { limits: DEFAULT_HTTP_LIMITS },
        { dispatcher: agent, counters: createHttpCounters() },
      )
      const url = new URL(first.origin)
      const signal = new AbortController().signal
      const exchange = { method: 'GET', url, expect: [200], timeoutMs: 30_000, signal } as const
      await assert.rejects(client.read(exchange, 100), { reason: 'address' })
      assert.equal(first.requests.length, 1)
      assert.deepEqual(server.requests, [])
    } finally {
      await first.stop()
    }
  })
})
