import assert from 'node:assert/strict'
import { FusefsError, negotiatedInitFromJson } from '../../../fusefs/index.js'

const NEGOTIATED = {
  major: 7,
  minor: 39,
  flags: ['ASYNC_READ', 'NO_OPEN_SUPPORT', 'HAS_RESEND'],
  maxReadAheadBytes: 131_072,
}

describe('negotiatedInitFromJson', () => {
  it('keeps what was negotiated', () => {
    const text = JSON.stringify(NEGOTIATED)
    assert.deepEqual(negotiatedInitFromJson(JSON.parse(text)), NEGOTIATED)
  })

  it('takes what a newer build negotiated, without the flags that this build does not know', () => {
    const newer = { ...NEGOTIATED, minor: 99, flags: [...NEGOTIATED.flags, 'FUTURE'], more: 1 }
    assert.deepEqual(negotiatedInitFromJson(newer), { ...NEGOTIATED, minor: 99 })
  })

  const hostile: readonly (readonly [string, unknown, RegExp])[] = [
    ['null', null, /flags must be/],
    ['text', 'negotiated', /flags must be/],
    ['another major version', { ...NEGOTIATED, major: 8 }, /major must be 7/],
    ['a version older than any kernel served', { ...NEGOTIATED, minor: 28 }, /minor must be/],
    ['a version that is text', { ...NEGOTIATED, minor: '39' }, /minor must be a whole number/],
    ['flags that are text', { ...NEGOTIATED, flags: 'HAS_RESEND' }, /flags must be/],
    ['a flag that is a number', { ...NEGOTIATED, flags: [39] }, /flags must be/],
    ['too many flags', { ...NEGOTIATED, flags: Array<string>(65).fill('A') }, /flags must be/],
    ['no read-ahead', { ...NEGOTIATED, maxReadAheadBytes: undefined }, /maxReadAheadBytes/],
    ['a size over 32 bits', { ...NEGOTIATED, maxReadAheadBytes: 2 ** 32 }, /maxReadAheadBytes/],
    ['a fraction', { ...NEGOTIATED, maxReadAheadBytes: 0.5 }, /maxReadAheadBytes/],
  ]
  for (const [name, value, message] of hostile) {
    it(`refuses ${name}`, () => {
      assert.throws(
        () => negotiatedInitFromJson(value),
        (error) => {
          assert.ok(error instanceof FusefsError)
          assert.equal(error.code, 'invalid-argument')
          assert.match(error.message, message)
          return true
        },
      )
    })
  }

  it('takes the name of an inherited property for no flag', () => {
    const value = { ...NEGOTIATED, flags: ['toString', '__proto__', 'HAS_RESEND'] }
    assert.deepEqual(negotiatedInitFromJson(value).flags, ['HAS_RESEND'])
  })
})
