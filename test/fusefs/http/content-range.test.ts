import assert from 'node:assert/strict'
import { isContentRange, rangeHeader } from '../../../fusefs/http/content-range.js'

describe('isContentRange', () => {
  const asked = { first: 100, last: 199 }

  it('takes exactly the range that was asked for, whatever is said of the whole', () => {
    assert.equal(rangeHeader(asked), 'bytes=100-199')
    assert.ok(isContentRange('bytes 100-199/1000', asked))
    assert.ok(isContentRange('bytes 100-199/*', asked))
  })

  const others = [
    'bytes 99-199/1000',
    'bytes 101-199/1000',
    'bytes 100-198/1000',
    'bytes 100-200/1000',
    'bytes 100-199',
    'bytes */1000',
    'items 100-199/1000',
    '',
  ]
  for (const header of others) {
    it(`refuses "${header}"`, () => {
      assert.equal(isContentRange(header, asked), false)
    })
  }

  it('compares the beginning alone where no end was asked for', () => {
    const open = { first: 100, last: undefined }
    assert.equal(rangeHeader(open), 'bytes=100-')
    assert.ok(isContentRange('bytes 100-999/1000', open))
    assert.equal(isContentRange('bytes 0-999/1000', open), false)
  })
})
