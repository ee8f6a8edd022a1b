import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configFromToml } from '../../../snapshotter/config/index.js'
import { StorePolicy } from '../../../snapshotter/stores/store-policy.js'

function policyOf(toml: string): StorePolicy {
  const config = configFromToml(toml, 'c.toml')
  const { mirrors, registries, stores } = config
  return new StorePolicy({ allow: stores.allow, mirrors, registries })
}

function expect(policy: StorePolicy, verdicts: Record<string, 'named' | 'allowed' | RegExp>): void {
  for (const [url, verdict] of Object.entries(verdicts)) {
    if (verdict instanceof RegExp) {
      const refusal = { code: 'failed-precondition', message: verdict }
      assert.throws(() => policy.check(url), refusal, url)
    } else {
      assert.equal(policy.check(url).home === undefined ? 'allowed' : 'named', verdict, url)
    }
  }
}

describe('StorePolicy', () => {
  it('allows stores on the internet over TLS by default, and says how to allow others', () => {
    expect(policyOf(''), {
      'oci+https://registry.example/app': 'allowed',
      'https://cdn.example/base': 'allowed',
      'oci+http://registry.example/app':
        /has no TLS.*"oci\+http:\/\/registry\.example\/".*\[stores\] allow/,
      'http://cdn.example/base': /it has no TLS/,
      'oci+http://127.0.0.1:5000/app': /store oci\+http:\/\/127\.0\.0\.1:5000\/app, .* loopback/,
      'oci+https://127.0.0.1:5000/app': /a loopback address/,
      'https://localhost/': /a loopback address/,
      'https://2130706433/': /a loopback address/,
      'https://[::1]/': /a loopback address/,
      'https://[::ffff:10.0.0.1]/': /a private address/,
      'https://169.254.169.254/': /a link-local address/,
      'https://192.168.1.1/': /a private address/,
      'file:///var/lib/secrets': /may not name folders/,
    })
  })

  it('allows what its list says instead, by host, port and path', () => {
    const allow = [
      'oci+https://registry.example/team/',
      'http://10.0.0.5:*/',
      'oci+http://[::1]:5000',
      'https://cdn.example/a',
    ]
    expect(policyOf(`[stores]\nallow = ${JSON.stringify(allow)}`), {
      'oci+https://registry.example/team/app': 'named',
      'oci+https://registry.example/team': 'named',
      'oci+https://REGISTRY.example:443/team/app': 'named',
      'oci+https://registry.example/teams/app': /not among those allowed/,
      'oci+https://registry.example:444/team/app': /not among those allowed/,
      'oci+https://registry.example.evil.example/team/app': /not among those allowed/,
      'https://registry.example/team/app': /not among those allowed/,
      'http://10.0.0.5/x': 'named',
      'http://10.0.0.5:8080/x': 'named',
      'https://10.0.0.5/x': /a private address/,
      'oci+http://[0:0::1]:5000/app': 'named',
      'oci+http://[::1]:5001/app': /a loopback address/,
      'https://cdn.example/a/b': 'named',
      'https://cdn.example/a/../b': /not among those allowed/,
      'https://cdn.example/ab': /not among those allowed/,
    })
  })

  it('allows registries that have a table, without TLS only where it says so', () => {
    const policy = policyOf('[registry."10.0.0.1:5000"]\nplain_http = true\n[registry."10.0.0.2"]')
    expect(policy, {
      'oci+http://10.0.0.1:5000/app': 'named',
      'oci+https://10.0.0.1:5000/app': 'named',
      'oci+https://10.0.0.2/app': 'named',
      'oci+http://10.0.0.2/app': /a private address/,
    })
    assert.ok(policy.mayCarryCredentials(new URL('http://10.0.0.1:5000/v2/')))
    assert.ok(policy.mayCarryCredentials(new URL('https://anywhere.example/v2/')))
    assert.ok(!policy.mayCarryCredentials(new URL('http://10.0.0.2/v2/')))
    assert.ok(!policy.mayCarryCredentials(new URL('http://127.0.0.1:5000/v2/')))
    assert.ok(policy.isNamed({ host: '10.0.0.2', port: 443 }))
    assert.ok(!policy.isNamed({ host: '10.0.0.2', port: 80 }))
  })

  it('allows mirrors, but not what lies beside them', () => {
    const policy = policyOf(
      '[[store]]\nprefix = "oci+https://a.example/"\n' +
        'urls = ["file:///srv/mirror/", "http://10.0.0.9/m"]',
    )
    expect(policy, {
      'file:///srv/mirror/team/app': 'allowed',
      'file:///srv/mirror/../../etc': /may not name folders/,
      'file:///srv/mirror/%2e%2e/x': /may not name folders/,
      'http://10.0.0.9/mteam/app': 'named',
      'http://10.0.0.9/other': /a private address/,
    })
  })

  it('follows no link out of the folders that are allowed', () => {
    const folder = realpathSync(mkdtempSync(join(tmpdir(), 'store-policy-')))
    try {
      for (const name of ['stores/one', 'secret'])
        mkdirSync(join(folder, name), { recursive: true })
      symlinkSync(join(folder, 'secret'), join(folder, 'stores', 'out'))
      symlinkSync(join(folder, 'stores', 'one'), join(folder, 'stores', 'within'))
      const policy = policyOf(`[stores]\nallow = ["file://${folder}/stores/"]`)
      expect(policy, {
        [`file://${folder}/stores/one`]: 'allowed',
        [`file://${folder}/stores/within`]: 'allowed',
        [`file://${folder}/stores/out`]: /may not name folders/,
        [`file://${folder}/storesx`]: /may not name folders/,
      })
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it('admits a store for a while', () => {
    const policy = policyOf('')
    const revoke = policy.admit('oci+http://127.0.0.1:5000/')
    expect(policy, { 'oci+http://127.0.0.1:5000/app': 'named' })
    revoke()
    revoke()
    expect(policy, { 'oci+http://127.0.0.1:5000/app': /a loopback address/ })
  })

  it('refuses an entry that is no beginning of a store', () => {
    const options = { allow: ['ftp://x/'], mirrors: [], registries: new Map() }
    assert.throws(() => new StorePolicy(options), { code: 'invalid-argument' })
  })
})
