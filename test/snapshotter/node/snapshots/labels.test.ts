import assert from 'node:assert/strict'
import { SnapshotterError } from '../../../../snapshotter/errors.js'
import { labelsFromJson } from '../../../../snapshotter/node/snapshots/labels.js'

describe('labelsFromJson', () => {
  it('keeps every label, whatever its name', () => {
    const text = '{"containerd.io/gc.root":"2026","__proto__":"own","":""}'
    const labels = labelsFromJson('snap', text)
    assert.deepEqual(Object.entries(labels), [
      ['containerd.io/gc.root', '2026'],
      ['__proto__', 'own'],
      ['', ''],
    ])
  })

  for (const text of [
    '',
    '{',
    'null',
    '"a"',
    '["a"]',
    '{"a":1}',
    '{"a":null}',
    '{"a":{"b":"c"}}',
  ]) {
    it(`refuses ${text === '' ? 'nothing' : text}, naming the snapshot`, () => {
      assert.throws(
        () => labelsFromJson('snap', text),
        (error) => {
          assert.ok(error instanceof SnapshotterError)
          assert.equal(error.code, 'internal')
          assert.match(error.message, /^snapshot "snap": its labels/)
          return true
        },
      )
    })
  }
})
