import assert from 'node:assert/strict'
import { FusefsError } from '../../../fusefs/index.js'
import { FaultLog } from '../../../fusefs/content/fault-log.js'
import { createTestLog } from './test-log.js'

describe('FaultLog', () => {
  let nowMs: number
  let log: ReturnType<typeof createTestLog>
  let faults: FaultLog
  const fault = {
    ...{ subject: 'https://a.example sha256:1', cause: 'fetch-failed', message: 'cannot fetch' },
    error: new FusefsError('fetch-failed', 'the store answered 500'),
  }

  beforeEach(() => {
    nowMs = 0
    log = createTestLog()
    faults = new FaultLog({ windowMs: 60_000 }, { log, now: () => nowMs })
  })

  it('logs a fault once a minute, and then says how many there were', () => {
    for (let i = 0; i < 300; i++) faults.note(fault)
    nowMs = 59_999
    faults.note(fault)
    assert.equal(log.lines.length, 1)
    nowMs = 60_000
    faults.note(fault)
    assert.deepEqual(log.lines[1]?.fields, {
      ...{ subject: fault.subject, cause: fault.cause, unlogged: 300 },
      reason: 'the store answered 500',
    })
  })

  it('tells subjects and causes apart', () => {
    faults.note(fault)
    faults.note({ ...fault, subject: 'https://b.example sha256:1' })
    faults.note({ ...fault, cause: 'fetch-timeout' })
    assert.equal(log.lines.length, 3)
  })

  it('keeps the stack of an error that nobody expects', () => {
    const error = new TypeError('a bug')
    faults.note({ ...fault, error, level: 'error', fields: { ino: 7 } })
    const { subject, cause } = fault
    assert.deepEqual(log.lines[0], {
      ...{ level: 'error', message: 'cannot fetch' },
      fields: { subject, cause, ino: 7, err: error },
    })
  })
})
