import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { configFromToml, loadConfig } from '../../../snapshotter/config/index.js'
import { SnapshotterError } from '../../../snapshotter/errors.js'

function problemsOf(text: string): string[] {
  try {
    configFromToml(text, 'c.toml')
  } catch (error) {
    assert.ok(error instanceof SnapshotterError)
    assert.equal(error.code, 'invalid-argument')
    return error.message.split('\n')
  }
  assert.fail(`accepted: ${text}`)
}

describe('configFromToml', () => {
  it('has a default for every key', () => {
    const config = configFromToml('', 'c.toml')
    assert.equal(config.root, '/var/lib/thin-snapshotter')
    assert.equal(config.cache.directory, '/var/lib/thin-snapshotter/cache')
    assert.equal(config.cache.maxBytes, 10 * 2 ** 30)
    assert.equal(config.fetch.deadlineMs, 60_000)
    assert.equal(config.fetch.retryForMs, 60_000)
    assert.equal(config.metricsAddress, undefined)
    assert.equal(config.dockerConfig, undefined)
    assert.equal(config.registries.size, 0)
    assert.deepEqual(config.mirrors, [])
    assert.deepEqual(config.stores, { allow: ['oci+https://', 'https://'] })
  })

  it('lets no read try again for longer than its deadline', () => {
    const config = configFromToml('[fetch]\ndeadline = "10s"\nretry_for = "1m"', 'c.toml')
    assert.equal(config.fetch.retryForMs, 10_000)
  })

  it('reads every key', () => {
    const config = configFromToml(
      `
        root = "/srv/thin/"
        state = "/run/x"
        address = "/run/x/s"
        admin_address = "/run/x/a"
        docker_config = "/root/config.json"
        metrics.address = "[::1]:9100"
        [log]
        level = "debug"
        format = "text"
        [cache]
        directory = "/srv/cache"
        size = "1.5 GB"
        memory_size = 16777216
        [fetch]
        concurrency = 1
        connections_per_origin = 2
        attempts = 3
        connect_timeout = "1m30s"
        answer_timeout = 2.5
        stall_timeout = "250ms"
        deadline = "1h"
        retry_for = "20s"
        decoders = 3
        [prefetch]
        libraries = false
        concurrency = 2
        bandwidth = "5MB"
        [background]
        complete = "all"
        bandwidth = 0
        quiet = "1m"
        [fuse]
        dispatchers = 4
        read_ahead_kib = 128
        [watchdog]
        deadline = "5s"
        standby = false
        [profile]
        learn = false
        learn_period = "1m"
        shared = false
        [host_directories]
        allow = ["/cvmfs/cd.example/", "/srv/layers"]
        [stores]
        allow = ["oci+http://10.0.0.5:*/", "file:///srv/"]
        [[store]]
        prefix = "oci+https://a.example/"
        urls = ["file:///srv/a/"]
        [[store]]
        prefix = "https://b.example/x"
        urls = ["http://c.example/", "https://d.example/"]
        [registry."a.example:5000"]
        username = "u"
        password_file = "/p"
        ca = "/ca.pem"
        retry_for = 0
        plain_http = true
      `,
      'c.toml',
    )
    assert.deepEqual(config, {
      root: '/srv/thin',
      state: '/run/x',
      address: '/run/x/s',
      adminAddress: '/run/x/a',
      dockerConfig: '/root/config.json',
      log: { level: 'debug', format: 'text' },
      metricsAddress: { host: '::1', port: 9100 },
      cache: { directory: '/srv/cache', maxBytes: 1.5e9, memoryBytes: 16 * 2 ** 20 },
      fetch: {
        concurrency: 1,
        connectionsPerOrigin: 2,
        attempts: 3,
        connectTimeoutMs: 90_000,
        answerTimeoutMs: 2500,
        stallTimeoutMs: 250,
        deadlineMs: 3_600_000,
        retryForMs: 20_000,
        decoders: 3,
      },
      prefetch: { concurrency: 2, bytesPerSecond: 5_000_000, libraries: false },
      background: { complete: 'all', bytesPerSecond: 0, quietMs: 60_000 },
      fuse: { dispatchers: 4, readAheadKib: 128 },
      watchdog: { deadlineMs: 5000, standby: false },
      profile: { learn: false, learnPeriodMs: 60_000, shared: false },
      allowedHostDirectories: ['/cvmfs/cd.example', '/srv/layers'],
      stores: { allow: ['oci+http://10.0.0.5:*/', 'file:///srv/'] },
      mirrors: [
        { prefix: 'oci+https://a.example/', replacements: ['file:///srv/a/'] },
        {
          prefix: 'https://b.example/x',
          replacements: ['http://c.example/', 'https://d.example/'],
        },
        { prefix: 'oci+https://a.example:5000/', replacements: ['oci+http://a.example:5000/'] },
      ],
      registries: new Map([
        [
          'a.example:5000',
          { username: 'u', passwordFile: '/p', ca: '/ca.pem', retryForMs: 0, plainHttp: true },
        ],
      ]),
    })
  })

  const REFUSED: readonly (readonly [string, string, ...RegExp[]])[] = [
    ['broken TOML, with its place', 'root = \n', /^c\.toml:1:8: Invalid TOML document/],
    ['a mistyped key', '[cache]\nsise = 1', /^c\.toml: cache\.sise: .*mean cache\.size\?$/],
    ['a key in the wrong table', 'level = "info"', /^c\.toml: level: .*mean log\.level\?$/],
    ['a key like no other', 'zebra = 1', /^c\.toml: zebra: is not a key$/],
    [
      'a mistyped table',
      '[cahce]\nsize = 1',
      /^c\.toml: cahce: is not a key; did you mean cache\?$/,
    ],
    ['a value for a table', 'cache = 5', /^c\.toml: cache: is not a table; write \[cache\]$/],
    ['a relative path', 'root = "thin"', /^c\.toml: root: "thin" is not .*expected absolute path/],
    ['a root that mount options cannot hold', 'root = "/a:b"', /root: "\/a:b" is not a value/],
    ['a number for a text', 'address = 7', /address: 7 is not a value it takes; expected absolute/],
    ['a size without a known unit', 'cache.size = "10G"', /"10G".*expected size \("512MiB"/],
    ['a size that is too small', 'cache.size = 100', /100 .*64MiB to 1024TiB/],
    ['a duration without unit', 'fetch.deadline = "10"', /"10" .*expected duration/],
    ['a duration that is too long', 'fetch.deadline = "2h"', /"2h" .*1s to 3600s/],
    ['half a thread', 'fuse.dispatchers = 1.5', /1\.5 .*whole number, 1 to 64/],
    ['a count out of bounds', 'fuse.dispatchers = 0', /0 is not .*1 to 64/],
    ['a huge integer', 'fetch.attempts = 9223372036854775807', /cannot be represented losslessly/],
    ['another choice', 'log.level = "verbose"', /expected one of "error", "warn", "info", "debug"/],
    ['a port out of range', 'metrics.address = "a:99999"', /expected "host:port"/],
    ['a date', 'root = 2020-01-01', /root: "2020-01-01/],
    [
      'a beginning of store URLs that is none',
      '[stores]\nallow = ["registry.example.com"]',
      /stores\.allow: .* expected list of up to 256 beginnings of store URLs/,
    ],
    ['a store without urls', '[[store]]\nprefix = "https://a/"', /store\[0\]\.urls: is missing/],
    ['a store that is no list', '[store]\nprefix = "https://a/"', /write \[\[store\]\]/],
    [
      'a URL that is no store',
      '[[store]]\nprefix = "ftp://a/"\nurls = ["b"]',
      /store\[0\]\.prefix: "ftp:\/\/a\/" is not/,
      /store\[0\]\.urls: \["b"\] is not/,
    ],
    ['a registry with a path', '[registry."https://a/b"]', /is not a host or host:port/],
    ['a mistyped registry key', '[registry."a"]\nuser = "x"', /registry\."a"\.user: .*username\?$/],
    ['a user without password', '[registry."a"]\nusername = "x"', /"a"\.password_file: is missing/],
    [
      'several things at once, each on a line',
      'root = 1\nzebra = 2\n[log]\nlevel = 3',
      /^c\.toml: root: 1/,
      /^c\.toml: log\.level: 3/,
      /^c\.toml: zebra: is not a key/,
    ],
  ]
  for (const [name, text, ...expected] of REFUSED) {
    it(`refuses ${name}`, () => {
      const problems = problemsOf(text)
      assert.equal(problems.length, expected.length, problems.join('\n'))
      expected.forEach((pattern, i) => {
        assert.match(problems[i] ?? '', pattern)
      })
    })
  }
})

describe('loadConfig', () => {
  let directory: string
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'config-'))
  })
  afterEach(async () => {
    await rm(directory, { recursive: true })
  })

  it('reads the file it is given', async () => {
    const path = join(directory, 'config.toml')
    await writeFile(path, 'root = "/elsewhere"')
    assert.equal((await loadConfig(path)).root, '/elsewhere')
  })

  it('refuses a file that is not there, not UTF-8, too long or a directory', async () => {
    const path = join(directory, 'config.toml')
    await assert.rejects(loadConfig(path), { code: 'not-found' })
    await writeFile(path, Buffer.from([0x23, 0xff, 0xfe]))
    await assert.rejects(loadConfig(path), { code: 'invalid-argument', message: /not UTF-8/ })
    await writeFile(path, '#'.repeat(2 ** 20 + 1))
    await assert.rejects(loadConfig(path), { code: 'invalid-argument', message: /longer than/ })
    await assert.rejects(loadConfig(directory), { code: 'internal', message: /EISDIR/ })
  })

  it('reads the example that is shipped, which shows the defaults', async () => {
    const example = new URL('../../../../deploy/config.toml', import.meta.url)
    const text = await readFile(example, 'utf8')
    assert.deepEqual(configFromToml(text, 'example'), configFromToml('', 'empty'))
  })
})
