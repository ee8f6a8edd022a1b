import assert from 'node:assert/strict'
import { sourceFromUrl, storeUrlFromString, createContentStats } from '../../../fusefs/index.js'
import { createTestLog } from './test-log.js'

describe('storeUrlFromString', () => {
  it('knows registries, static servers and folders', () => {
    assert.deepEqual(storeUrlFromString('oci+http://registry:5000/some/app'), {
      kind: 'registry',
      name: 'oci+http://registry:5000/some/app',
      origin: 'http://registry:5000',
      repository: 'some/app',
    })
    assert.deepEqual(storeUrlFromString('https://host/base'), {
      kind: 'static',
      name: 'https://host/base/',
      base: new URL('https://host/base/'),
    })
    assert.deepEqual(storeUrlFromString('file:///var/my%20store'), {
      kind: 'file',
      name: 'file:///var/my%20store',
      directory: '/var/my store',
    })
  })

  const refused = [
    '',
    'registry:5000/app',
    '/var/store',
    'ftp://host/',
    'oci+ftp://host/app',
    'oci+file:///app',
    'oci+https://host',
    'oci+https://host/',
    'oci+https://host/App',
    'oci+https://host/a//b',
    'https://host/base?token=1',
    'https://host/#part',
    'file://other-host/dir',
    `https://host/${'x'.repeat(3000)}`,
  ]
  for (const text of refused) {
    it(`refuses "${text.slice(0, 40)}"`, () => {
      assert.throws(() => storeUrlFromString(text), {
        name: 'FusefsError',
        code: 'invalid-argument',
      })
    })
  }

  it('refuses credentials in a URL, and does not repeat them', () => {
    assert.throws(
      () => storeUrlFromString('oci+https://user:hidden@host/app'),
      (error) => error instanceof Error && !error.message.includes('hidden'),
    )
  })

  it('names a source by its URL', async () => {
    const modules = { log: createTestLog(), stats: createContentStats() }
    for (const url of ['oci+https://host/app', 'https://host/', 'file:///dir']) {
      const source = sourceFromUrl({ url }, modules)
      assert.equal(source.name, url)
      await source.close()
      await source.close()
    }
  })
})
