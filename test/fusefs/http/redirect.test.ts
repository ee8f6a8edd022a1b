import assert from 'node:assert/strict'
import { HttpFailure } from '../../../fusefs/index.js'
import { redirectTarget } from '../../../fusefs/http/redirect.js'

describe('redirectTarget', () => {
  const from = new URL('https://registry.example/v2/app/blobs/x?key=hidden')

  it('resolves a relative target, and drops user and password', () => {
    assert.equal(redirectTarget(from, '../y?key=1').href, 'https://registry.example/v2/app/y?key=1')
    assert.equal(
      redirectTarget(from, 'https://me:word@cdn.example/x').href,
      'https://cdn.example/x',
    )
    const plain = new URL('http://registry.example/v2/')
    assert.equal(redirectTarget(plain, 'https://cdn.example/x').href, 'https://cdn.example/x')
    assert.equal(redirectTarget(plain, 'http://cdn.example/x').href, 'http://cdn.example/x')
  })

  for (const location of [
    'http://registry.example/x',
    'file:///etc/passwd',
    'data:,x',
    'https://',
  ]) {
    it(`does not lead from https to ${location}`, () => {
      assert.throws(
        () => redirectTarget(from, location),
        (error) =>
          error instanceof HttpFailure &&
          error.reason === 'redirect' &&
          !error.retryable &&
          !error.message.includes('hidden'),
      )
    })
  }
})
