import assert from 'node:assert/strict'
import { columnsOf } from '../../bench/convert/conversion.js'

describe('columnsOf', () => {
  const sample = { megabytesPerSec: 50, peakRssBytes: 200 * 1024 ** 2, storedShare: 0.85 }

  it('has speed, memory and size of every conversion', () => {
    const samples = [sample, { ...sample, megabytesPerSec: 60 }]
    assert.deepEqual(columnsOf(samples.map((one) => ({ ...one, stepMs: {} }))), {
      'MB/s': [50, 60],
      'peak MiB': [200, 200],
      'stored ÷ gzip': [0.85, 0.85],
    })
  })

  it('has a column for each step of a conversion in several', () => {
    const { 'fetch s': fetch, 'push s': push } = columnsOf([
      { ...sample, stepMs: { fetch: 1500, push: 250 } },
    ])
    assert.deepEqual([fetch, push], [[1.5], [0.25]])
  })
})
