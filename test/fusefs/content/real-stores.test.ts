import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import {
  type BlobSource,
  ContentStore,
  createContentStats,
  createHttpAgent,
  FailoverSource,
  MirrorView,
  sourceFromUrl,
} from '../../../fusefs/index.js'
import {
  anonymous,
  type CredentialSource,
  RegistryAuthorizer,
  RegistryConnection,
} from '../../../snapshotter/images/registry/index.js'
import {
  ACCOUNT,
  type DockerRegistry,
  startDockerRegistry,
} from '../../snapshotter/images/registry/docker-registry.js'
import {
  startTokenServer,
  type TokenServer,
} from '../../snapshotter/images/registry/token-server.js'
import { Nginx } from './nginx.js'
import { type PackFixture, packFixture, storePacks } from './pack-fixture.js'
import { createTestLog } from './test-log.js'

const KIB = 1024
const NEVER = new AbortController().signal
/** Gives the same account for every host. */
const account: CredentialSource = {
  credentialFor: () => Promise.resolve({ kind: 'password', ...ACCOUNT }),
}
const packs = [1, 2].map((seed) =>
  packFixture({ frameSizes: [256 * KIB, 1024 * KIB, 100, 2048 * KIB, 256 * KIB], seed }),
)

interface StoreOptions {
  readonly url: string
  /** If undefined, requests carry no credentials and no challenge is answered. */
  readonly credentials?: CredentialSource
}

describe('ContentStore over real stores', function () {
  this.timeout(60_000)
  const log = createTestLog()
  let directory: string
  let nginx: Nginx
  let open: DockerRegistry
  let guarded: DockerRegistry
  let tokens: TokenServer
  let withTokens: DockerRegistry

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'real-stores-'))
    storePacks(join(directory, 'store'), packs)
    const tls = certificate(directory)
    nginx = await Nginx.start(join(directory, 'nginx'), (ports) => [
      { directives: [`root ${directory}/store;`] },
      { directives: [`root ${directory}/store;`, 'max_ranges 0;'] },
      { directives: [`location / { return 307 http://127.0.0.1:${ports[0] ?? 0}$request_uri; }`] },
      { directives: [`root ${directory}/store;`], tls },
    ])
    open = await startDockerRegistry()
    guarded = await startDockerRegistry({ auth: 'htpasswd' })
    tokens = await startTokenServer()
    withTokens = await startDockerRegistry({ auth: tokens.auth })
    for (const registry of [open, guarded, withTokens]) await push(registry)
  })

  after(async () => {
    await nginx.close()
    await open.stop()
    await guarded.stop()
    await withTokens.stop()
    await tokens.stop()
    rmSync(directory, { recursive: true })
  })

  const port = (i: number): string => `127.0.0.1:${nginx.ports[i] ?? 0}`
  const stores: [string, () => StoreOptions][] = [
    ['docker-registry', () => ({ url: `oci+http://${open.host}/some/app` })],
    [
      'docker-registry with a password',
      () => ({ url: `oci+http://${guarded.host}/some/app`, credentials: account }),
    ],
    [
      'docker-registry behind a token server',
      () => ({ url: `oci+http://${withTokens.host}/some/app`, credentials: anonymous }),
    ],
    ['nginx', () => ({ url: `http://${port(0)}` })],
    ['nginx without ranges', () => ({ url: `http://${port(1)}/` })],
    ['nginx behind a redirect', () => ({ url: `http://${port(2)}/` })],
    ['nginx with TLS', () => ({ url: `https://${port(3)}/` })],
    ['a folder', () => ({ url: pathToFileURL(join(directory, 'store')).href })],
  ]

  async function withStore(
    options: StoreOptions,
    body: (store: ContentStore, source: BlobSource) => Promise<void>,
  ): Promise<void> {
    const stats = createContentStats()
    const certificateAuthorities = [readFileSync(join(directory, 'certificate.pem'), 'utf8')]
    const agent = createHttpAgent({ certificateAuthorities })
    const limits = { backOffBaseMs: 5 }
    const { credentials } = options
    const authorizer = credentials && new RegistryAuthorizer({ credentials, dispatcher: agent })
    const modules = { log, stats, agent, authorizer }
    const source = sourceFromUrl({ url: options.url, limits }, modules)
    const cacheDir = mkdtempSync(join(directory, 'cache-'))
    const store = await ContentStore.open({ cacheDir }, { log, stats })
    try {
      await body(store, source)
    } finally {
      await store.close()
      await source.close()
      await agent.close()
    }
  }

  for (const [name, options] of stores) {
    it(`reads, prefetches and mirrors packs of ${name}`, async () => {
      await withStore(options(), async (store, source) => {
        await Promise.all(packs.map((pack) => readPieces(store, source, pack)))
        for (const { table, raw } of packs) {
          const frames = { first: 0, count: table.frames.length }
          await store.prefetch({ pack: table, frames, source }, NEVER)
          const target = Buffer.alloc(raw.length)
          assert.equal(new MirrorView(store.mirror(table)).tryReadSync(target, 0), true)
          assert.ok(target.equals(raw))
        }
        assert.equal(store.stats.framesDecoded, packs.length * 5)
        assert.equal(store.stats.httpRetries, 0)
      })
    })

    it(`says blob-not-found for a pack that ${name} does not have`, async () => {
      await withStore(options(), async (store, source) => {
        const absent = packFixture({ frameSizes: [10 * KIB], seed: 99 })
        const target = Buffer.alloc(10)
        const request = { pack: absent.table, rawOffset: 0, target, source }
        await assert.rejects(store.read(request, NEVER), { code: 'blob-not-found' })
      })
    })
  }

  it('says fetch-failed where docker-registry refuses a reader without credentials', async () => {
    await withStore({ url: `oci+http://${guarded.host}/some/app` }, async (store, source) => {
      const [pack] = packs
      assert.ok(pack !== undefined)
      const request = { pack: pack.table, rawOffset: 0, target: Buffer.alloc(10), source }
      await assert.rejects(store.read(request, NEVER), {
        code: 'fetch-failed',
        message: /answered 401/,
      })
    })
  })

  it('does not trust a certificate that nobody vouches for', async () => {
    const [pack] = packs
    assert.ok(pack !== undefined)
    const stats = createContentStats()
    const source = sourceFromUrl({ url: `https://${port(3)}/` }, { log, stats })
    const range = { digest: pack.table.digest, offset: 0, length: 10 }
    const reading = source.stream(range, NEVER)[Symbol.asyncIterator]().next()
    await assert.rejects(reading, { code: 'fetch-failed', message: /CERT/ })
    assert.equal(stats.httpRetries, 0)
    await source.close()
  })

  it('reads from the second store while the first is down', async () => {
    const gone = await startDockerRegistry()
    await gone.stop()
    const stats = createContentStats()
    const modules = { log, stats }
    const sources = [`oci+http://${gone.host}/some/app`, `http://${port(0)}`].map((url) =>
      sourceFromUrl({ url, limits: { backOffBaseMs: 1, maxAttempts: 2 } }, modules),
    )
    const both = FailoverSource.create({ sources }, modules)
    const store = await ContentStore.open({}, modules)
    for (const pack of packs) await readPieces(store, both, pack)
    assert.equal(stats.failovers, 1)
    await store.close()
    await both.close()
  })
})

/** Reads a pack in pieces of growing size, several at a time, and compares each piece. */
async function readPieces(
  store: ContentStore,
  source: BlobSource,
  { table, raw }: PackFixture,
): Promise<void> {
  const reads: Promise<void>[] = []
  for (let rawOffset = 0, length = 1; rawOffset < raw.length; rawOffset += length, length *= 2) {
    const end = Math.min(raw.length, rawOffset + length)
    const target = Buffer.alloc(end - rawOffset)
    const expected = raw.subarray(rawOffset, end)
    const read = store.read({ pack: table, rawOffset, target, source }, NEVER).then(() => {
      assert.ok(target.equals(expected), `wrong bytes at ${rawOffset}`)
    })
    reads.push(read)
  }
  await Promise.all(reads)
}

async function push({ host }: DockerRegistry): Promise<void> {
  const connection = RegistryConnection.open({}, { credentials: account })
  const repository = connection.repository(host, 'some/app')
  for (const { table, stored } of packs) {
    const { digest, sizeBytes } = table
    await repository.putBlob({ digest, sizeBytes, open: () => stored }, NEVER)
  }
  await connection.close()
}

/** Makes a self-signed certificate for 127.0.0.1, which no client trusts by default. */
function certificate(directory: string): { certificate: string; key: string } {
  const paths = { certificate: join(directory, 'certificate.pem'), key: join(directory, 'key.pem') }
  const subject = ['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1']
  const output = ['-keyout', paths.key, '-out', paths.certificate, '-days', '1']
  const args = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject, ...output]
  execFileSync('openssl', args, { stdio: 'ignore' })
  return paths
}
