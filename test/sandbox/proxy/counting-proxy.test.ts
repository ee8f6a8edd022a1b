/**
 * Tests the network that benchmarks use: that it counts right, and that it is not faster than its
 * shape allows.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type Server, createServer, request, Agent } from 'node:http'
import { type AddressInfo, connect, createServer as createTcpServer } from 'node:net'
import { CountingProxy } from './counting-proxy.js'
import { UNSHAPED } from './network-shape.js'

const MIB = 1024 ** 2

describe('CountingProxy', function () {
  this.timeout(30_000)
  let server: Server
  let proxy: CountingProxy

  before(async () => {
    // The path `/N` is answered with N bytes.
    server = createServer((incoming, answer) => {
      incoming.resume()
      const size = Number(incoming.url?.slice(1))
      answer.setHeader('content-length', size)
      answer.end(Buffer.alloc(size))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    proxy = await CountingProxy.start((server.address() as AddressInfo).port)
  })

  after(async () => {
    await proxy.close()
    server.close()
  })

  beforeEach(async () => {
    await proxy.shape(UNSHAPED)
    proxy.reset()
  })

  /** Requests `sizeBytes` bytes. Returns the milliseconds until the end of the answer. */
  async function get(sizeBytes: number, agent: Agent): Promise<number> {
    const startedMs = performance.now()
    await new Promise<void>((resolve, reject) => {
      const options = { port: proxy.port, host: '127.0.0.1', path: `/${sizeBytes}`, agent }
      request(options, (answer) => {
        answer.resume()
        answer.once('end', resolve)
        answer.once('error', reject)
      })
        .once('error', reject)
        .end()
    })
    return performance.now() - startedMs
  }

  /** The shortest time of several: a busy machine makes things slower, never faster. */
  async function shortest(count: number, measure: () => Promise<number>): Promise<number> {
    let best = Infinity
    for (let i = 0; i < count; i++) best = Math.min(best, await measure())
    return best
  }

  it('counts requests and bytes until it is reset', async () => {
    const agent = new Agent({ keepAlive: true })
    await get(1000, agent)
    await get(5000, agent)
    agent.destroy()
    const { requests, receivedBytes, sentBytes } = proxy.traffic
    assert.equal(requests, 2)
    assert.ok(receivedBytes > 6000 && receivedBytes < 7000, String(receivedBytes))
    assert.ok(sentBytes > 40 && sentBytes < 1000, String(sentBytes))
    assert.deepEqual(proxy.requestLines, ['GET /1000', 'GET /5000'])
    proxy.reset()
    assert.deepEqual(proxy.traffic, { requests: 0, receivedBytes: 0, sentBytes: 0 })
  })

  for (const roundTripMs of [1, 10, 50]) {
    it(`takes at least one round trip of ${roundTripMs} ms for a request, two on a new connection`, async () => {
      await proxy.shape({ roundTripMs, bitsPerSecond: undefined })
      const agent = new Agent({ keepAlive: true, maxSockets: 1 })
      const freshMs = await get(100, agent)
      const keptMs = await shortest(5, () => get(100, agent))
      agent.destroy()
      assert.ok(keptMs >= roundTripMs, `${keptMs} ms on an open connection`)
      assert.ok(freshMs >= 2 * roundTripMs, `${freshMs} ms on a new connection`)
    })
  }

  for (const [bitsPerSecond, roundTripMs, sizeBytes] of [
    [25e6, 50, MIB],
    [100e6, 10, 4 * MIB],
    [1e9, 1, 16 * MIB],
  ] as const) {
    // Only a lower limit is checked, because a busy machine may be slower. That the link is not too
    // slow is tested in shaped-link.test.ts.
    it(`lets no more than ${bitsPerSecond / 1e6} Mbit/s through`, async () => {
      await proxy.shape({ roundTripMs, bitsPerSecond })
      const ideal = 2 * roundTripMs + (sizeBytes * 8 * 1000) / bitsPerSecond
      const agent = new Agent()
      const elapsedMs = await get(sizeBytes, agent)
      agent.destroy()
      assert.ok(elapsedMs >= ideal, `${elapsedMs} ms where ${ideal} ms is the limit`)
    })
  }

  it('lets a small answer overtake a large one of another connection', async () => {
    await proxy.shape({ roundTripMs: 10, bitsPerSecond: 25e6 })
    const agent = new Agent()
    let largeIsThere = false
    const large = get(2 * MIB, agent).then(() => (largeIsThere = true))
    await get(1000, agent)
    assert.ok(!largeIsThere)
    await large
    agent.destroy()
  })

  it('holds no more than a window of what its receiver does not take', async () => {
    let sentBytes = 0
    const source = createTcpServer((socket) => {
      socket.on('error', () => undefined)
      const chunk = Buffer.alloc(64 * 1024)
      const fill = (): void => {
        while (!socket.destroyed) {
          sentBytes += chunk.length
          if (!socket.write(chunk)) return
        }
      }
      socket.on('drain', fill)
      fill()
    }).listen(0, '127.0.0.1')
    await once(source, 'listening')
    const through = await CountingProxy.start((source.address() as AddressInfo).port)
    await through.shape({ roundTripMs: 1, bitsPerSecond: 1e9 })
    const socket = connect(through.port, '127.0.0.1')
    await once(socket, 'connect')
    socket.pause()
    await new Promise((resolve) => setTimeout(resolve, 1000))
    socket.destroy()
    await through.close()
    source.close()
    // The kernel's socket buffers on both sides of the proxy hold bytes beyond the window.
    assert.ok(sentBytes < 32 * MIB, `${sentBytes / MIB} MiB`)
  })

  it('passes on what an end says last, and then the end', async () => {
    await proxy.shape({ roundTripMs: 10, bitsPerSecond: 25e6 })
    const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.end('GET /300000 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
    let receivedBytes = 0
    socket.on('data', (chunk) => (receivedBytes += chunk.length))
    await once(socket, 'end')
    assert.ok(receivedBytes > 300_000, String(receivedBytes))
    assert.equal(receivedBytes, proxy.traffic.receivedBytes)
    socket.destroy()
  })

  it('breaks off what is open while it refuses', async () => {
    const socket = connect(proxy.port, '127.0.0.1')
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await proxy.refuse(true)
    await closed
    await assert.rejects(get(1, new Agent()))
    await proxy.refuse(false)
    await get(1, new Agent())
  })
})
