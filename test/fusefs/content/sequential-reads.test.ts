import assert from 'node:assert/strict'
import { SequentialReads } from '../../../fusefs/content/fetch/sequential-reads.js'
import { packFixture } from './pack-fixture.js'

const { table } = packFixture({ frameSizes: Array.from({ length: 64 }, () => 4096) })

describe('SequentialReads', () => {
  it('fetches nothing ahead of reads here and there', () => {
    const reads = new SequentialReads({ maxAheadBytes: 2 ** 20 })
    for (const at of [0, 30, 3, 50, 10, 20, 60]) {
      assert.equal(reads.note('a', table, at, at), undefined)
    }
  })

  it('takes one step for no sequence, however much was read with it', () => {
    const reads = new SequentialReads({ maxAheadBytes: 2 ** 20 })
    assert.equal(reads.note('a', table, 0, 9), undefined)
    assert.equal(reads.note('a', table, 10, 19), undefined)
    assert.notEqual(reads.note('a', table, 20, 29), undefined)
  })

  it('goes at most as far ahead as was read in sequence, in growing steps', () => {
    const reads = new SequentialReads({ maxAheadBytes: 2 ** 20 })
    let asked = 0
    const steps: number[] = []
    for (let at = 0; at < 64; at++) {
      if (at < asked) continue
      const run = reads.note('a', table, at, at)
      if (run === undefined) continue
      assert.equal(run.first, at + 1)
      assert.ok(run.end - run.first <= at, `${run.end - run.first} frames after ${at}`)
      steps.push(run.end - run.first)
      asked = run.end
    }
    assert.ok(steps.length <= 6, steps.join(' '))
    assert.ok((steps[1] ?? 0) > (steps[0] ?? 0))
  })

  it('keeps to its bound, and to the end of the pack', () => {
    const frameBytes = table.frames[0]?.sizeBytes ?? 0
    const reads = new SequentialReads({ maxAheadBytes: 4 * frameBytes + 100 })
    for (let at = 0; at < 64; at++) {
      const run = reads.note('a', table, at, at)
      if (run === undefined) continue
      assert.ok(run.end - at - 1 <= 4)
      assert.ok(run.end <= 64)
    }
  })

  it('tells several readers of one pack apart', () => {
    const reads = new SequentialReads({ maxAheadBytes: 2 ** 20 })
    const runs = [0, 1, 2, 3].map((at) => [
      reads.note('a', table, at, at),
      reads.note('a', table, 40 + at, 40 + at),
    ])
    assert.ok(runs.some(([one]) => one !== undefined))
    assert.ok(runs.some(([, other]) => other !== undefined))
  })
})
