import assert from 'node:assert/strict'
import { pino } from 'pino'
import { PartTable } from '../../../../snapshotter/node/daemon/part-table.js'

const log = pino({ level: 'silent' })

describe('PartTable', () => {
  let events: string[]

  beforeEach(() => {
    events = []
  })

  const table = PartTable.over<{ readonly first: number }>()
    .row(
      'one',
      ({ first }) => ({ one: first + 1 }),
      ({ one }) => events.push(`close one ${one}`),
    )
    .row(
      'two',
      async ({ first, one }) => Promise.resolve({ two: first + one }),
      ({ two }) => events.push(`close two ${two}`),
    )

  it('gives each row the parts of the rows above it', async () => {
    const { parts } = await table.open({ first: 10 }, { log })
    assert.deepEqual(parts, { first: 10, one: 11, two: 21 })
  })

  it('closes the rows once, the last one first', async () => {
    const { close } = await table.open({ first: 0 }, { log })
    await close()
    await close()
    assert.deepEqual(events, ['close two 1', 'close one 1'])
  })

  it('closes the rows above one that fails to open, and throws its error', async () => {
    const failing = table.row('three', () => {
      throw new RangeError('no three')
    })
    await assert.rejects(failing.open({ first: 0 }, { log }), new RangeError('no three'))
    assert.deepEqual(events, ['close two 1', 'close one 1'])
  })

  it('closes the other rows when one does not close', async () => {
    const stubborn = table.row(
      'three',
      () => ({ three: 3 }),
      () => Promise.reject(new Error('stays open')),
    )
    const { close } = await stubborn.open({ first: 0 }, { log })
    await close()
    assert.deepEqual(events, ['close two 1', 'close one 1'])
  })
})
