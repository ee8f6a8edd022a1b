import assert from 'node:assert/strict'
import {
  formatPlatform,
  formatReference,
  isLoopbackRegistry,
  matchesPlatform,
  parsePlatform,
  parseReference,
  parseRepository,
} from '../../../../snapshotter/images/registry/index.js'

const DIGEST = `sha256:${'ab'.repeat(32)}`

describe('parseReference', () => {
  const rows: [string, string][] = [
    ['redis', 'docker.io/library/redis:latest'],
    ['redis:4', 'docker.io/library/redis:4'],
    ['team/app', 'docker.io/team/app:latest'],
    ['index.docker.io/team/app', 'docker.io/team/app:latest'],
    ['localhost/app:1', 'localhost/app:1'],
    ['localhost:5000/app', 'localhost:5000/app:latest'],
    ['127.0.0.1:5000/a/b/c:t', '127.0.0.1:5000/a/b/c:t'],
    ['[::1]:5000/app:1', '[::1]:5000/app:1'],
    ['registry.example.com/a__b/c-d.e:V1.0_x', 'registry.example.com/a__b/c-d.e:V1.0_x'],
    [`app@${DIGEST}`, `docker.io/library/app@${DIGEST}`],
    [`r.io/app:1@${DIGEST}`, `r.io/app:1@${DIGEST}`],
  ]
  for (const [text, full] of rows) {
    it(`reads ${text} as ${full}`, () => {
      assert.equal(formatReference(parseReference(text)), full)
    })
  }
  const wrong = [
    '',
    'App',
    'app:',
    'app:a b',
    'app@sha256:12',
    'app@md5:00',
    'r.io/',
    'r.io//app',
    'r.io/app/../x',
    'r.io/a..b',
    'host:port/app',
    '-host.io/app',
    'user:pass@host.io/app',
    `a${'/b'.repeat(200)}`,
    'x'.repeat(2000),
  ]
  for (const text of wrong) {
    it(`refuses "${text.slice(0, 40)}"`, () => {
      assert.throws(() => parseReference(text), { code: 'invalid-argument' })
    })
  }
})

describe('parseRepository', () => {
  it('reads host and path, and nothing else', () => {
    assert.deepEqual(parseRepository('r.io:5000/a/b'), { registry: 'r.io:5000', repository: 'a/b' })
    for (const text of [
      '',
      'r.io',
      '/a',
      'r.io/',
      'r.io/A',
      'r.io/a:1',
      'r.io/a@b',
      'u:p@r.io/a',
    ]) {
      assert.throws(() => parseRepository(text), { code: 'invalid-argument' }, text)
    }
  })
})

describe('isLoopbackRegistry', () => {
  it('knows this machine from others', () => {
    for (const here of ['localhost', 'localhost:5000', '127.0.0.1:1', '127.9.9.9', '[::1]:5000']) {
      assert.equal(isLoopbackRegistry(here), true, here)
    }
    for (const away of ['localhost.example.com', '128.0.0.1', '127.0.0.1.nip.io:80', 'r.io']) {
      assert.equal(isLoopbackRegistry(away), false, away)
    }
  })
})

describe('parsePlatform', () => {
  it('knows the names of the same architecture', () => {
    assert.equal(formatPlatform(parsePlatform('linux/x86_64')), 'linux/amd64')
    assert.equal(formatPlatform(parsePlatform('Linux/aarch64/v8')), 'linux/arm64/v8')
    for (const text of ['', 'linux', 'linux/', 'linux/arm/v7/x', 'lin ux/arm']) {
      assert.throws(() => parsePlatform(text), { code: 'invalid-argument' }, text)
    }
  })

  it('matches with and without a variant', () => {
    const arm = { os: 'linux', architecture: 'arm64' }
    assert.ok(matchesPlatform(parsePlatform('linux/arm64'), { ...arm, variant: 'v8' }))
    assert.ok(matchesPlatform(parsePlatform('linux/arm64/v8'), arm))
    assert.ok(!matchesPlatform(parsePlatform('linux/arm64/v9'), arm))
    assert.ok(!matchesPlatform(parsePlatform('linux/amd64'), arm))
  })
})
