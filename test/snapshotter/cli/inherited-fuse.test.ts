import assert from 'node:assert/strict'
import { inheritedFromArgument } from '../../../snapshotter/cli/run-daemon.js'
import { SnapshotterError } from '../../../snapshotter/errors.js'

describe('--fuse of thin-snapshotterd', () => {
  const negotiated = { major: 7, minor: 39, flags: ['HAS_RESEND'], maxReadAheadBytes: 131_072 }

  it('names a mount that an earlier daemon served, and one that none did', () => {
    assert.deepEqual(inheritedFromArgument(`plain=5=${JSON.stringify(negotiated)}`), {
      class: 'plain',
      fd: 5,
      negotiated,
    })
    const fresh = inheritedFromArgument('xattr=6=null')
    assert.deepEqual(fresh, { class: 'xattr', fd: 6, negotiated: undefined })
  })

  const hostile = [
    'plain=5',
    'other=5=null',
    'plain=-1=null',
    'plain=5=',
    'plain=5={',
    'plain=5={}',
  ]
  for (const argument of [...hostile, 'plain=5={"major":7,"minor":39,"flags":[1]}']) {
    it(`refuses ${argument}`, () => {
      assert.throws(
        () => inheritedFromArgument(argument),
        (error) => error instanceof SnapshotterError && error.code === 'invalid-argument',
      )
    })
  }
})
