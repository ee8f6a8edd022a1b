import assert from 'node:assert/strict'
import {
  type Challenge,
  parseChallenges,
} from '../../../../snapshotter/images/registry/challenge.js'

const REALM = 'https://auth.example.com/token'

describe('parseChallenges', () => {
  const rows: [string, string, Challenge[]][] = [
    ['Basic', 'Basic realm="x"', [{ scheme: 'basic' }]],
    ['Basic without parameters', 'basic', [{ scheme: 'basic' }]],
    [
      'Bearer',
      `Bearer realm="${REALM}",service="r.io",scope="repository:a/b:pull,push"`,
      [{ scheme: 'bearer', realm: REALM, service: 'r.io', scope: 'repository:a/b:pull,push' }],
    ],
    [
      'Bearer before Basic',
      `Basic realm="x", Bearer realm="${REALM}"`,
      [{ scheme: 'bearer', realm: REALM }, { scheme: 'basic' }],
    ],
    [
      'escapes',
      `Bearer realm="${REALM}", service="a\\"b"`,
      [{ scheme: 'bearer', realm: REALM, service: 'a"b' }],
    ],
    ['a Bearer without realm as nothing', 'Bearer service="x"', []],
    ['a realm that is no URL as nothing', 'Bearer realm="x"', []],
    ['others as nothing', 'Negotiate abc==, Digest realm="x", nonce="y"', []],
    ['an empty header as nothing', '', []],
  ]
  for (const [name, header, expected] of rows) {
    it(`reads ${name}`, () => {
      assert.deepEqual(parseChallenges(header), expected)
    })
  }
})
