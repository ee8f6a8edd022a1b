import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf, hexOf } from '../../../index-format/index.js'
import { convertImage, noProgress } from '../../../snapshotter/publish/convert/index.js'
import { RegistryConnection } from '../../../snapshotter/images/registry/index.js'
import { StoreServer } from '../../../snapshotter/serve/index.js'
import { Containerd } from '../../sandbox/containerd.js'
import { type SampleImage, copyImage, makeSampleImage } from '../publish/convert/sample-image.js'
import { ThinReader } from '../publish/convert/thin-reader.js'

const noLog = {
  error: (fields: object, message: string): void => {
    throw new Error(message, { cause: fields })
  },
  warn: () => undefined,
  info: () => undefined,
  debug: () => undefined,
}

describe('StoreServer', () => {
  let folder: string
  let server: StoreServer
  let sample: SampleImage
  const blob = randomBytes(100_000)
  const digest = digestOf(blob)
  const staticPath = `/blobs/sha256/${hexOf(digest)}`

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'test-serve-'))
    sample = await makeSampleImage()
    const connection = RegistryConnection.open()
    for (const tag of ['thin', 'team/app:2']) {
      await convertImage(
        {
          source: `oci:${sample.layout}:1`,
          destination: `oci:${folder}:${tag}`,
          database: ':memory:',
          tempFolder: folder,
        },
        { progress: noProgress, connection },
        AbortSignal.timeout(60_000),
      )
    }
    await connection.close()
    writeFileSync(join(folder, 'blobs/sha256', hexOf(digest)), blob)
    writeFileSync(join(folder, 'secret'), 'secret')
    server = await StoreServer.start({ folder }, { log: noLog })
  })
  after(async () => {
    await server.close()
    sample.remove()
    rmSync(folder, { recursive: true, force: true })
  })

  const get = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(`${server.url}${path}`, init)

  it('serves a blob under both paths, to be cached for ever', async () => {
    for (const path of [staticPath, `/v2/any/name/blobs/${digest}`]) {
      const answer = await get(path)
      assert.equal(answer.status, 200)
      assert.match(answer.headers.get('cache-control') ?? '', /immutable/)
      assert.equal(answer.headers.get('docker-content-digest'), digest)
      assert.ok(Buffer.from(await answer.arrayBuffer()).equals(blob))
      const head = await get(path, { method: 'HEAD' })
      assert.equal(head.headers.get('content-length'), String(blob.length))
      assert.equal((await head.arrayBuffer()).byteLength, 0)
    }
    const etag = { 'if-none-match': `"${digest}"` }
    assert.equal((await get(staticPath, { headers: etag })).status, 304)
  })

  const ranges: [string, number, number, number][] = [
    ['bytes=0-0', 206, 0, 1],
    ['bytes=10-19', 206, 10, 20],
    ['bytes=99990-', 206, 99_990, 100_000],
    ['bytes=-10', 206, 99_990, 100_000],
    ['bytes=99990-200000', 206, 99_990, 100_000],
    ['bytes=-200000', 206, 0, 100_000],
    ['bytes=20-10', 200, 0, 100_000],
    ['bytes=0-1,5-6', 200, 0, 100_000],
    ['pages=1-2', 200, 0, 100_000],
    ['bytes=-', 200, 0, 100_000],
  ]
  for (const [range, status, start, end] of ranges) {
    it(`answers "${range}" with ${status} and bytes ${start} to ${end}`, async () => {
      const answer = await get(staticPath, { headers: { range } })
      assert.equal(answer.status, status)
      const bytes = Buffer.from(await answer.arrayBuffer())
      assert.ok(bytes.equals(blob.subarray(start, end)))
      const expected = status === 206 ? `bytes ${start}-${end - 1}/100000` : null
      assert.equal(answer.headers.get('content-range'), expected)
    })
  }

  it('answers 416 for a range beyond the end', async () => {
    for (const range of ['bytes=100000-', 'bytes=-0']) {
      const answer = await get(staticPath, { headers: { range } })
      assert.equal(answer.status, 416)
      assert.equal(answer.headers.get('content-range'), 'bytes */100000')
    }
  })

  it('sends the whole blob when If-Range names another', async () => {
    const headers = { range: 'bytes=0-9', 'if-range': '"other"' }
    assert.equal((await get(staticPath, { headers })).status, 200)
  })

  it('lets nobody out of the blobs', async () => {
    const paths = [
      '/secret',
      '/blobs/sha256/../../secret',
      '/blobs/sha256/%2e%2e/%2e%2e/secret',
      '/v2/a/blobs/../../secret',
      '/v2/a/manifests/../../../secret',
      '/v2/..%2f..%2fsecret/manifests/latest',
      '//secret',
      '/index.json',
    ]
    for (const path of paths) {
      const answer = await rawRequest(`GET ${path} HTTP/1.1`)
      assert.match(answer, /^HTTP\/1\.1 40[04] /, path)
      assert.doesNotMatch(answer, /\r\n\r\nsecret/)
    }
  })

  it('takes nothing', async () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      assert.equal((await get('/v2/a/blobs/uploads/', { method })).status, 405)
      assert.equal((await get(staticPath, { method })).status, 405)
    }
  })

  it('says 404 for what is not there', async () => {
    const absent = digestOf(randomBytes(4))
    for (const path of [
      `/blobs/sha256/${hexOf(absent)}`,
      `/v2/a/manifests/${absent}`,
      // An existing blob that is not a manifest.
      `/v2/a/manifests/${digest}`,
      '/v2/a/manifests/no-such-tag',
    ]) {
      assert.equal((await get(path)).status, 404, path)
    }
  })

  it('lists tags, with and without a repository in their name', async () => {
    const tagsOf = async (name: string): Promise<unknown> =>
      ((await (await get(`/v2/${name}/tags/list`)).json()) as { tags: unknown }).tags
    assert.deepEqual(await tagsOf('team/app'), ['2', 'thin'])
    assert.deepEqual(await tagsOf('other'), ['thin'])
  })

  it('gives skopeo a thin image by tag and by digest, and a node its content', async () => {
    const host = server.url.replace('http://', '')
    await copyImage(`docker://${host}/app:thin`, `oci:${folder}/copy-1:t`)
    await copyImage(`docker://${host}/team/app:2`, `oci:${folder}/copy-2:t`)
    const reader = new ThinReader(`${server.url}/v2/app`)
    const manifest = await reader.manifest('thin')
    const recipe = await reader.recipe(manifest)
    assert.ok(recipe.thin?.merged !== undefined)
    mkdirSync(join(folder, 'indexes'))
    const index = await reader.index(recipe.thin.merged, join(folder, 'indexes'))
    const path = 'usr/lib/large.bin'
    const content = await reader.file(index, path)
    index.close()
    assert.ok(content?.equals(sample.files.get(path) ?? Buffer.alloc(0)))
  })

  it('gives stock ctr a thin image', async () => {
    const directory = join(folder, 'containerd')
    const containerd = await Containerd.start({ directory, snapshotters: {} })
    try {
      const host = server.url.replace('http://', '')
      await containerd.pull(`${host}/app:thin`, 'overlayfs')
      assert.match((await containerd.ctr(['images', 'ls', '-q'])).stdout, /app:thin/)
    } finally {
      await containerd.close()
    }
  })

  it('closes while a client holds a connection open', async () => {
    const other = await StoreServer.start({ folder }, { log: noLog })
    assert.equal((await fetch(`${other.url}/v2/`)).status, 200)
    const started = performance.now()
    await Promise.all([other.close(), other.close()])
    assert.ok(performance.now() - started < 3000)
    await assert.rejects(fetch(`${other.url}/v2/`))
  })

  it('refuses a folder that is not there, and a port in use', async () => {
    const absent = join(folder, 'absent')
    await assert.rejects(StoreServer.start({ folder: absent }, { log: noLog }), {
      code: 'not-found',
    })
    const port = Number(new URL(server.url).port)
    await assert.rejects(StoreServer.start({ folder, port }, { log: noLog }), { code: 'internal' })
  })

  /** Sends a request line unchanged. `fetch` would normalize the path. */
  async function rawRequest(line: string): Promise<string> {
    const { hostname, port } = new URL(server.url)
    const socket = connect(Number(port), hostname)
    let answer = ''
    socket.on('data', (piece: Buffer) => {
      answer += piece.toString('latin1')
    })
    socket.write(`${line}\r\nhost: test\r\nconnection: close\r\n\r\n`)
    await once(socket, 'close')
    return answer
  }
})
