import assert from 'node:assert/strict'
import { createHttpCounters, HttpFailure } from '../../../fusefs/index.js'
import { OriginHealth } from '../../../fusefs/http/origin-health.js'
import { createTestLog } from '../content/test-log.js'

const refused = new HttpFailure('unreachable', 'refused', { retryable: true })
const timeout = new HttpFailure('timeout', 'no answer', { retryable: true })

describe('OriginHealth', () => {
  let nowMs: number
  let health: OriginHealth
  let log: ReturnType<typeof createTestLog>
  let counters: ReturnType<typeof createHttpCounters>

  beforeEach(() => {
    nowMs = 5_000
    log = createTestLog()
    counters = createHttpCounters()
    health = new OriginHealth(
      'https://a.example',
      { maxAttempts: 3, retryAfterCapMs: 20_000 },
      { counters, log, now: () => nowMs, random: () => 0.5 },
    )
  })

  /** Sends a request if that is allowed, which fails. Returns whether it was allowed. */
  function request(failure: HttpFailure): boolean {
    const admission = health.admit()
    if ('refusal' in admission) return false
    health.failed(failure, admission.sinceMs)
    return true
  }

  it('counts a server as failing after as many failures in a row as attempts', () => {
    assert.deepEqual(
      [1, 2, 3, 4].map(() => request(refused)),
      [true, true, true, false],
    )
    assert.equal(counters.httpRefusals, 1)
    assert.deepEqual(
      log.lines.map(({ level, message }) => [level, message]),
      [['warn', 'store is known to fail, asked once a second from now on']],
    )
  })

  it('asks a failing server at most once a second, however often it may be asked', () => {
    for (let i = 0; i < 3; i++) request(refused)
    let probes = 0
    for (let i = 0; i < 60_000; i += 10) {
      nowMs += 10
      if (request(refused)) probes++
    }
    assert.ok(probes >= 48 && probes <= 60, `${probes} probes in 60 s`)
    assert.equal(log.lines.length, 1)
  })

  it('waits for one timeout only', () => {
    assert.deepEqual([request(timeout), request(timeout)], [true, false])
  })

  it('trusts a server again after its first answer', () => {
    for (let i = 0; i < 3; i++) request(refused)
    nowMs += 2_000
    assert.ok('sinceMs' in health.admit())
    health.answered()
    assert.deepEqual([request(refused), request(refused)], [true, true])
    assert.equal(log.lines.at(-1)?.message, 'store answers again')
  })

  it('takes an answer that is final for an answer', () => {
    request(refused)
    request(refused)
    request(new HttpFailure('status', 'not found', { retryable: false, status: 404 }))
    assert.deepEqual([request(refused), request(refused)], [true, true])
  })

  it('does not blame a server that answered another request meanwhile', () => {
    const admission = health.admit()
    assert.ok('sinceMs' in admission)
    nowMs += 15_000
    health.answered()
    health.failed(timeout, admission.sinceMs)
    assert.ok('sinceMs' in health.admit())
  })

  it('honours Retry-After, up to its cap', () => {
    const busy = (retryAfterMs: number): HttpFailure =>
      new HttpFailure('status', 'busy', { retryable: true, status: 429, retryAfterMs })
    for (let i = 0; i < 3; i++) request(busy(8_000))
    nowMs += 7_999
    assert.equal(request(busy(3_600_000)), false)
    nowMs += 1
    assert.equal(request(busy(3_600_000)), true)
    nowMs += 19_999
    assert.equal(request(refused), false)
    nowMs += 1
    assert.equal(request(refused), true)
  })

  it('says in the refusal how the server fails', () => {
    for (let i = 0; i < 3; i++) request(refused)
    const admission = health.admit()
    assert.ok('refusal' in admission)
    assert.equal(admission.refusal.reason, 'known-failing')
    assert.match(admission.refusal.message, /a\.example is known to fail.*: refused$/)
    assert.equal(admission.refusal.cause, refused)
  })
})
