import assert from 'node:assert/strict'
import { ServerStats, StatsRow } from '../../../fusefs/transport/server-stats.js'
import { OPCODES } from '../../../fusefs/wire/opcodes.js'

describe('ServerStats', () => {
  it('counts every request under its name, or as other', () => {
    const stats = new ServerStats(1)
    const rows = [0, 1].map((row) => new StatsRow(stats.shared, row))
    for (const row of rows) for (let opcode = 0; opcode < 5_000; opcode++) row.countRequest(opcode)
    const { requests } = stats.counts()
    const named = Object.keys(OPCODES)
    for (const name of named) assert.equal(requests[name as keyof typeof OPCODES], 2, name)
    assert.equal(requests.other, 2 * (5_000 - named.length))
  })

  it('keeps opcodes that are unknown out of the other counters', () => {
    const stats = new ServerStats(0)
    const row = new StatsRow(stats.shared, 0)
    for (const opcode of [7, 19, 54, 63, 64, 68, 4096]) row.countRequest(opcode)
    assert.deepEqual(stats.counts(), {
      requests: { other: 7 },
      ...{ bytesRead: 0, bytesStored: 0, misses: 0, errors: 0, faults: 0, refused: 0 },
    })
  })
})
