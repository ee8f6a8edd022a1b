import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { WallClock } from '../../../../snapshotter/node/snapshots/wall-clock.js'
import { runProgram } from '../../../sandbox/program.js'

describe('WallClock', () => {
  it('agrees with another clock to less than the time it takes to look', async () => {
    const clock = new WallClock()
    for (let i = 0; i < 5; i++) {
      const beforeNs = clock.nowNs()
      const otherNs = BigInt((await runProgram(['date', '+%s%N'])).stdout.trim())
      const afterNs = clock.nowNs()
      assert.ok(beforeNs < otherNs && otherNs < afterNs, `${beforeNs} < ${otherNs} < ${afterNs}`)
      await sleep(20)
    }
  })

  it('goes forward, by less than a millisecond', () => {
    const clock = new WallClock()
    let last = clock.nowNs()
    let smallest = 1_000_000n
    for (let i = 0; i < 1000; i++) {
      const now = clock.nowNs()
      assert.ok(now > last)
      if (now - last < smallest) smallest = now - last
      last = now
    }
    assert.ok(smallest < 100_000n, `${smallest} ns`)
  })

  it('follows the time of day when that is set', () => {
    const clock = new WallClock()
    const trueNs = clock.nowNs()
    const { now } = Date
    try {
      Date.now = () => now() - 3_600_000
      const stepNs = trueNs - clock.nowNs()
      assert.ok(stepNs > 3_599_000_000_000n && stepNs < 3_600_000_000_000n, `${stepNs}`)
    } finally {
      Date.now = now
    }
  })
})
