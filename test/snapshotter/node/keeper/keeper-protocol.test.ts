import assert from 'node:assert/strict'
import {
  type KeeperEvent,
  keeperEventFromLine,
  type KeeperRequest,
  keeperRequestFromLine,
  LineSplitter,
  MAX_LINE_BYTES,
} from '../../../../snapshotter/node/keeper/keeper-protocol.js'

describe("the keeper's protocol", () => {
  const requests: KeeperRequest[] = [
    {
      op: 'start',
      version: 1,
      command: ['/usr/bin/node', 'daemon.js'],
      mounts: [{ name: 'plain', mountpoint: '/var/lib/thin-snapshotter/plain' }],
    },
    { op: 'start', version: 1, command: ['node'], mounts: [], tellReady: true },
    { op: 'start', version: 1, command: ['node'], mounts: [], watchdogMs: 5, standby: true },
    { op: 'stop' },
    { op: 'shutdown', force: true },
  ]
  for (const request of requests) {
    it(`keeps what a ${request.op} request says`, () => {
      assert.deepEqual(keeperRequestFromLine(JSON.stringify(request)), request)
    })
  }

  const events: KeeperEvent[] = [
    { event: 'started', pid: 7 },
    { event: 'started', pid: 7, tellsReady: true },
    { event: 'ready' },
    { event: 'alive' },
    { event: 'output', stream: 'stderr', text: 'a line\n' },
    { event: 'exited', code: null, signal: 'SIGKILL' },
    { event: 'exited', code: 3, signal: null },
    { event: 'stopped' },
    { event: 'done' },
    { event: 'failed', message: 'no' },
  ]
  for (const event of events) {
    it(`keeps what a ${event.event} event says`, () => {
      assert.deepEqual(keeperEventFromLine(JSON.stringify(event)), event)
    })
  }

  const refused = [
    '{"op":"start","version":1,"command":"node","mounts":[]}',
    '{"op":"start","version":1,"command":["node"],"mounts":[{"name":"plain"}]}',
    '{"op":"start","command":["node"],"mounts":[]}',
    '{"op":"unmount"}',
    '[]',
    'null',
  ]
  for (const line of refused) {
    it(`refuses ${line}`, () => {
      assert.throws(() => keeperRequestFromLine(line), { code: 'invalid-argument' })
    })
  }

  it('refuses an event that it does not know, and one that says too little', () => {
    for (const line of ['{"event":"mounted"}', '{"event":"started"}', '{"event":"output"}', '7']) {
      assert.throws(() => keeperEventFromLine(line), { code: 'invalid-content' })
    }
  })
})

describe('LineSplitter', () => {
  it('puts together what arrives in pieces', () => {
    const lines = new LineSplitter()
    assert.deepEqual(lines.push('{"a'), [])
    assert.deepEqual(lines.push('":1}\n\n{"b":2}\n{'), ['{"a":1}', '{"b":2}'])
    assert.deepEqual(lines.push('}\n'), ['{}'])
  })

  it('ends a conversation whose line has no end', () => {
    const lines = new LineSplitter()
    assert.throws(() => lines.push('x'.repeat(MAX_LINE_BYTES + 1)), { code: 'invalid-content' })
  })
})
