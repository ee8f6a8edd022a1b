import assert from 'node:assert/strict'
import { FusefsError, patiently } from '../../../fusefs/index.js'
import { SnapshotterError } from '../../../snapshotter/errors.js'

const signal = new AbortController().signal

describe('patiently', () => {
  let nowMs: number
  let waitsMs: number[]
  const timing = {
    random: () => 1,
    sleep: (ms: number): Promise<void> => {
      waitsMs.push(ms)
      nowMs += ms
      return Promise.resolve()
    },
  }
  const clock = { now: () => nowMs, timing }

  beforeEach(() => {
    nowMs = 0
    waitsMs = []
  })

  const away = (): Promise<never> =>
    Promise.reject(new FusefsError('fetch-failed', 'away', { retryForMs: 3_000 }))

  it('lets its waits grow to a second, and ends with the time that the error allows', async () => {
    await assert.rejects(patiently(away, { signal, ...clock }), { message: 'away' })
    assert.deepEqual(waitsMs, [100, 200, 400, 800, 1_000, 500])
  })

  it('takes no more time than its caller allows', async () => {
    await assert.rejects(patiently(away, { signal, atMostMs: 250, ...clock }), { message: 'away' })
    assert.deepEqual(waitsMs, [100, 150])
  })

  it('finds the failure of a store in the error of another layer', async () => {
    let calls = 0
    const work = async (): Promise<string> => {
      if (calls++ > 2) return 'here'
      return away().catch((cause: unknown) => {
        throw new SnapshotterError('unavailable', 'no index', { cause })
      })
    }
    assert.equal(await patiently(work, { signal, ...clock }), 'here')
    assert.equal(waitsMs.length, 3)
  })

  it('does not repeat what cannot pass', async () => {
    const missing = (): Promise<never> => Promise.reject(new FusefsError('blob-not-found', 'gone'))
    await assert.rejects(patiently(missing, { signal, ...clock }), { code: 'blob-not-found' })
    assert.deepEqual(waitsMs, [])
  })
})
