import assert from 'node:assert/strict'
import { FailedReads } from '../../../fusefs/transport/failed-reads.js'

describe('FailedReads', () => {
  const range = { slot: 1, ino: 7, offset: 4096, size: 8192 }
  let nowMs: number
  let failed: FailedReads

  beforeEach(() => {
    nowMs = 0
    failed = new FailedReads(() => nowMs)
    failed.note(range, 'why')
  })

  it('knows every read that begins in the range, of the same file only', () => {
    assert.deepEqual(failed.errorOf({ ...range, offset: 8192, size: 4096 }), { error: 'why' })
    assert.equal(failed.errorOf({ ...range, offset: 12_288 }), undefined)
    assert.equal(failed.errorOf({ ...range, offset: 0 }), undefined)
    assert.equal(failed.errorOf({ ...range, ino: 8 }), undefined)
    assert.equal(failed.errorOf({ ...range, slot: 2 }), undefined)
  })

  it('forgets a range after a second, and the oldest of too many', () => {
    nowMs = 999
    assert.ok(failed.errorOf(range))
    nowMs = 1_000
    assert.equal(failed.errorOf(range), undefined)
    failed.note(range, 'why')
    for (let i = 0; i < 64; i++) failed.note({ ...range, offset: 2 ** 20 * (i + 1) }, 'why')
    assert.equal(failed.errorOf(range), undefined)
    assert.ok(failed.errorOf({ ...range, offset: 2 ** 20 }))
  })
})
