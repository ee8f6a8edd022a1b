/**
 * Tests which servers the author of a recipe can make a node talk to. All servers here are on
 * loopback, as those that an attacker would choose.
 */
import assert from 'node:assert/strict'
import { type BlobSource, createContentStats, FusefsError } from '../../../fusefs/index.js'
import { digestOf } from '../../../index-format/index.js'
import { configFromToml } from '../../../snapshotter/config/index.js'
import type { CredentialSource } from '../../../snapshotter/images/registry/index.js'
import { StoreSources } from '../../../snapshotter/stores/store-sources.js'
import { createTestLog } from '../../fusefs/content/test-log.js'
import { answer, FaultyServer } from '../../fusefs/http/faulty-server.js'

const credentials: CredentialSource = {
  credentialFor: () => Promise.resolve({ kind: 'password', username: 'me', password: 'secret' }),
}
const bytes = Buffer.from('the content')
const range = { digest: digestOf(bytes), offset: 0, length: bytes.length }
const content = answer(200, {}, bytes.toString())

describe('StoreSources', () => {
  const log = createTestLog()
  const opened: { close(): Promise<void> }[] = []

  afterEach(async () => {
    log.lines.length = 0
    for (const one of opened.splice(0).reverse()) await one.close()
  })

  function open(toml: string): StoreSources {
    const { mirrors, registries, stores } = configFromToml(toml, 'c.toml')
    const sources = StoreSources.create(
      {
        ...{ allow: stores.allow, mirrors, registries },
        ...{ limits: { maxAttempts: 2, backOffBaseMs: 1 }, certificateAuthorities: [] },
      },
      { credentials, log, stats: createContentStats() },
    )
    opened.push(sources)
    return sources
  }

  async function listen(...answers: Parameters<typeof FaultyServer.start>): Promise<FaultyServer> {
    const server = await FaultyServer.start(...answers)
    opened.push({ close: () => server.stop() })
    return server
  }

  async function read(source: BlobSource): Promise<string> {
    const pieces: Uint8Array[] = []
    for await (const piece of source.stream(range, AbortSignal.timeout(30_000))) pieces.push(piece)
    return Buffer.concat(pieces).toString()
  }

  it('lets reads wait for a store as long as the table of its host says', async () => {
    const servers = [await listen(answer(503)), await listen(answer(503))]
    const [named, other] = servers.map(({ origin }) => new URL(origin).host)
    const sources = open(`
      [stores]
      allow = ["http://127.0.0.1:*/"]
      [registry."${named ?? ''}"]
      retry_for = "7s"
    `)
    for (const [host, retryForMs] of [[named, 7_000] as const, [other, 0] as const]) {
      await assert.rejects(read(sources.for([`http://${host ?? ''}/`])), (error) => {
        assert.ok(error instanceof FusefsError)
        assert.equal(error.retryForMs, retryForMs)
        return true
      })
    }
  })

  it('asks a server that is known to fail no more, through whichever of its stores', async () => {
    const server = await listen(answer(503))
    const sources = open('[stores]\nallow = ["http://127.0.0.1:*/"]')
    await assert.rejects(read(sources.for([`${server.origin}/one/`])), { code: 'fetch-failed' })
    const { length } = server.requests
    const second = read(sources.for([`${server.origin}/two/`]))
    await assert.rejects(second, { code: 'fetch-failed', message: /known to fail/ })
    assert.equal(server.requests.length, length)
  })

  it('sends nothing to a store on this machine that nobody configured', async () => {
    const victim = await listen(content)
    const sources = open('')
    const stores = [`oci+${victim.origin}/app`, 'file:///etc']
    const refusal = { code: 'failed-precondition', message: /\[stores\] allow/ }
    assert.throws(() => {
      sources.check(stores)
    }, refusal)
    const reading = read(sources.for(stores))
    await assert.rejects(reading, { code: 'fetch-failed', message: /\[stores\] allow/ })
    assert.throws(() => sources.repositoryOf(stores), refusal)
    assert.deepEqual(victim.requests, [])
    assert.equal(log.lines.length, 2)
  })

  it('reads from the stores that are allowed, and leaves the others out', async () => {
    const victim = await listen(content)
    const store = await listen(content)
    const sources = open(`[stores]\nallow = ["oci+${store.origin}/team/"]`)
    const stores = [`oci+${victim.origin}/app`, `oci+${store.origin}/team/app`]
    assert.equal(await read(sources.for(stores)), 'the content')
    assert.equal(sources.repositoryOf(stores)?.name, `${new URL(store.origin).host}/team/app`)
    assert.deepEqual(victim.requests, [])
  })

  it('sends a password in clear text only where the registry is configured so', async () => {
    const store = await listen(answer(401, { 'www-authenticate': 'Basic realm="x"' }))
    const stores = [`oci+${store.origin}/app`]
    const { host } = new URL(store.origin)
    await assert.rejects(read(open(`[stores]\nallow = ["oci+http://${host}/"]`).for(stores)))
    assert.deepEqual(
      store.requests.map(({ authorization }) => authorization),
      [undefined],
    )
    store.requests.length = 0
    const plain = open(`[registry."${host}"]\nplain_http = true`)
    await assert.rejects(read(plain.for(stores)))
    assert.match(store.requests.at(-1)?.authorization ?? '', /^Basic /)
  })

  it('follows redirects and realms of a configured registry to where it is itself', async () => {
    const tokens = await listen(answer(200, {}, '{"token":"t"}'))
    const bucket = await listen(content)
    const realm = `Bearer realm="${tokens.origin}/token",service="s"`
    const store = await listen(
      answer(401, { 'www-authenticate': realm }),
      answer(307, { location: `${bucket.origin}/signed` }),
    )
    const { host } = new URL(store.origin)
    const sources = open(`[registry."${host}"]\nplain_http = true`)
    assert.equal(await read(sources.for([`oci+${store.origin}/app`])), 'the content')
    assert.equal(store.requests.at(-1)?.authorization, 'Bearer t')
    assert.equal(bucket.requests[0]?.authorization, undefined)
  })

  it('closes twice', async () => {
    const sources = open('')
    await sources.close()
    await sources.close()
  })
})
