/**
 * Tests how long a link takes. The test has its own clock, so that a busy machine cannot make it
 * late.
 */
import assert from 'node:assert/strict'
import { PassThrough, Writable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { Flow } from './flow.js'
import { type LinkShape, ShapedLink } from './shaped-link.js'

const MIB = 1024 ** 2
/** Bytes that a program writes at once. */
const WRITE_BYTES = 64 * 1024

/** One connection's receiver: the number of bytes that it got, and when the last of them came. */
interface Receiver {
  readonly flow: Flow
  receivedBytes: number
  lastMs: number
}

/** A link, and the clock that the link is given. */
class Wire {
  readonly link: ShapedLink
  nowMs = 1000
  deliveredBytes = 0

  constructor(shape: LinkShape) {
    this.link = new ShapedLink(
      shape,
      (bytes) => (this.deliveredBytes += bytes),
      () => undefined,
    )
  }

  /**
   * A connection. Its receiver takes everything at once, or never takes anything if `takes` is
   * false.
   */
  connection(takes = true): Receiver {
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, taken) => {
        receiver.receivedBytes += chunk.length
        receiver.lastMs = this.nowMs
        if (takes) taken()
      },
    })
    const flow = new Flow(new PassThrough(), sink, this.link.windowBytes)
    const receiver: Receiver = { flow, receivedBytes: 0, lastMs: 0 }
    return receiver
  }

  send({ flow }: Receiver, sizeBytes: number): void {
    for (let left = sizeBytes; left > 0; left -= WRITE_BYTES) {
      const bytes = Buffer.alloc(Math.min(left, WRITE_BYTES))
      this.link.send(flow, { bytes, availableMs: this.nowMs })
    }
  }

  /** Advances the clock until the link has nothing left to do, or until `untilMs`. */
  async run(untilMs = Infinity): Promise<void> {
    for (;;) {
      let nextMs = this.link.advance(this.nowMs)
      // Receivers may have taken bytes, which may open a window.
      await setImmediate()
      nextMs = Math.min(nextMs, this.link.advance(this.nowMs))
      if (nextMs === Infinity || nextMs > untilMs) return
      this.nowMs = Math.max(this.nowMs, nextMs)
    }
  }
}

describe('ShapedLink', () => {
  for (const [bitsPerSecond, delayMs, sizeBytes] of [
    [25e6, 25, MIB],
    [100e6, 5, 4 * MIB],
    [100e6, 500, 4 * MIB],
    [1e9, 0.5, 16 * MIB],
  ] as const) {
    it(`lets ${bitsPerSecond / 1e6} Mbit/s through, ${delayMs} ms away`, async () => {
      const wire = new Wire({ delayMs, bitsPerSecond })
      const receiver = wire.connection()
      const startMs = wire.nowMs
      wire.send(receiver, sizeBytes)
      await wire.run()
      assert.equal(receiver.receivedBytes, sizeBytes)
      assert.equal(wire.deliveredBytes, sizeBytes)
      const idealMs = delayMs + (sizeBytes * 8 * 1000) / bitsPerSecond
      const tookMs = receiver.lastMs - startMs
      // The window exceeds the bytes that fill the wire only by a constant, so the sender may have
      // to wait a moment for the first bytes to arrive.
      assert.ok(Math.abs(tookMs - idealMs) < 0.001 * idealMs, `${tookMs} ms, not ${idealMs} ms`)
    })
  }

  it('takes the delay and nothing else without a bandwidth', async () => {
    const wire = new Wire({ delayMs: 5, bitsPerSecond: undefined })
    const receiver = wire.connection()
    const startMs = wire.nowMs
    wire.send(receiver, MIB)
    await wire.run()
    assert.equal(receiver.lastMs - startMs, 5)
  })

  it('is as fast for what is sent after a pause as it is at first', async () => {
    const wire = new Wire({ delayMs: 5, bitsPerSecond: 100e6 })
    const receiver = wire.connection()
    wire.send(receiver, MIB)
    await wire.run()
    wire.nowMs += 1000
    const startMs = wire.nowMs
    wire.send(receiver, MIB)
    await wire.run()
    const tookMs = receiver.lastMs - startMs
    const idealMs = 5 + (MIB * 8 * 1000) / 100e6
    assert.ok(Math.abs(tookMs - idealMs) < 0.001 * idealMs, `${tookMs} ms, not ${idealMs} ms`)
  })

  it('shares the wire evenly between connections', async () => {
    const wire = new Wire({ delayMs: 5, bitsPerSecond: 100e6 })
    const receivers = [1, 2, 3, 4].map(() => wire.connection())
    const startMs = wire.nowMs
    for (const receiver of receivers) wire.send(receiver, MIB)
    await wire.run()
    const idealMs = 5 + (4 * MIB * 8 * 1000) / 100e6
    const tookMs = receivers.map(({ lastMs }) => lastMs - startMs)
    assert.ok(Math.max(...tookMs) < 1.001 * idealMs, tookMs.join())
    assert.ok(Math.min(...tookMs) > 0.99 * idealMs, tookMs.join())
  })

  it('lets a small answer overtake a large one of another connection', async () => {
    const wire = new Wire({ delayMs: 5, bitsPerSecond: 25e6 })
    const [large, small] = [wire.connection(), wire.connection()]
    wire.send(large, 2 * MIB)
    await wire.run(wire.nowMs + 50)
    const startMs = wire.nowMs
    wire.send(small, 1000)
    await wire.run()
    const tookMs = small.lastMs - startMs
    assert.ok(tookMs >= 5 && tookMs < 7, `${tookMs} ms beside a large transfer`)
    assert.ok(large.lastMs - startMs > 500)
  })

  it('has no more than a window on its way to a receiver that takes nothing', async () => {
    const wire = new Wire({ delayMs: 0.5, bitsPerSecond: 1e9 })
    const receiver = wire.connection(false)
    const sizeBytes = 4 * MIB
    wire.send(receiver, sizeBytes)
    await wire.run()
    assert.ok(wire.deliveredBytes >= wire.link.windowBytes, String(wire.deliveredBytes))
    assert.ok(
      wire.deliveredBytes < wire.link.windowBytes + WRITE_BYTES,
      String(wire.deliveredBytes),
    )
  })

  it('forgets what a connection that is gone has not sent', async () => {
    const wire = new Wire({ delayMs: 5, bitsPerSecond: 25e6 })
    const [gone, kept] = [wire.connection(), wire.connection()]
    wire.send(gone, 8 * MIB)
    wire.send(kept, MIB)
    wire.link.remove(gone.flow)
    const startMs = wire.nowMs
    await wire.run()
    assert.equal(gone.receivedBytes, 0)
    assert.equal(kept.receivedBytes, MIB)
    assert.ok(kept.lastMs - startMs < 1.01 * (5 + (MIB * 8 * 1000) / 25e6))
  })
})
