/** Tests faults that docker-registry does not have. Each server here misbehaves in one way. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type IncomingMessage, type RequestListener, type Server, createServer } from 'node:http'
import { digestOf } from '../../../../index-format/index.js'
import {
  type CredentialSource,
  type Descriptor,
  OCI_MANIFEST,
  RegistryConnection,
  type Repository,
  boundedContent,
} from '../../../../snapshotter/images/registry/index.js'

const credentials: CredentialSource = {
  credentialFor: () => Promise.resolve({ kind: 'password', username: 'me', password: 'secret' }),
}

describe('Repository on a registry with faults', () => {
  const servers: Server[] = []
  const connection = RegistryConnection.open({}, { credentials })
  let signal: AbortSignal

  beforeEach(() => {
    signal = AbortSignal.timeout(60_000)
  })
  after(async () => {
    await connection.close()
    for (const server of servers) {
      server.closeAllConnections()
      server.close()
    }
  })

  const listen = async (listener: RequestListener): Promise<string> => {
    const server = createServer(listener)
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('no address')
    return `127.0.0.1:${address.port}`
  }
  const repositoryOn = async (listener: RequestListener): Promise<Repository> =>
    connection.repository(await listen(listener), 'team/app')
  const blob = randomBytes(300_000)
  const descriptor: Descriptor = {
    mediaType: 'application/octet-stream',
    digest: digestOf(blob),
    sizeBytes: blob.length,
  }
  const read = (repository: Repository): Promise<Buffer> =>
    boundedContent(repository.blob(descriptor, signal), 1_000_000, 'blob')
  const rangeStart = (request: IncomingMessage): number =>
    Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0)

  it('tries again after 503, no sooner than Retry-After says', async () => {
    const times: number[] = []
    const repository = await repositoryOn((_, response) => {
      times.push(performance.now())
      if (times.length < 3) response.writeHead(503, { 'retry-after': '1' }).end()
      else response.end(blob)
    })
    assert.ok((await read(repository)).equals(blob))
    const [first = 0, second = 0] = times
    assert.ok(second - first >= 950, `waited ${second - first} ms`)
  })

  it('gives up after a bounded number of tries', async () => {
    let tries = 0
    const repository = await repositoryOn((_, response) => {
      tries++
      response.writeHead(500).end()
    })
    await assert.rejects(read(repository), { code: 'unavailable' })
    assert.equal(tries, 5)
  })

  for (const knowsRanges of [true, false]) {
    it(`goes on where the connection broke, ${knowsRanges ? 'with 206' : 'with 200'}`, async () => {
      let tries = 0
      const repository = await repositoryOn((request, response) => {
        tries++
        const start = knowsRanges ? rangeStart(request) : 0
        const range = `bytes ${start}-${blob.length - 1}/${blob.length}`
        if (start > 0) response.writeHead(206, { 'content-range': range })
        else response.writeHead(200, { 'content-length': blob.length })
        if (tries > 2) response.end(blob.subarray(start))
        else {
          response.write(blob.subarray(start, start + 100_000 * (knowsRanges ? 1 : tries)), () => {
            setTimeout(() => request.socket.destroy(), 20)
          })
        }
      })
      assert.ok((await read(repository)).equals(blob))
      assert.equal(tries, 3)
    })
  }

  it('refuses a blob with wrong bytes, and one that is too long', async () => {
    const wrong = await repositoryOn((_, response) => response.end(randomBytes(blob.length)))
    await assert.rejects(read(wrong), { code: 'invalid-content' })
    const long = await repositoryOn((_, response) => response.end(Buffer.concat([blob, blob])))
    await assert.rejects(read(long), { code: 'invalid-content' })
  })

  it('refuses a manifest that is not the one asked for, and one that is too large', async () => {
    const digest = digestOf(Buffer.from('x'))
    const other = await repositoryOn((_, response) => {
      response.writeHead(200, { 'content-type': OCI_MANIFEST }).end('{}')
    })
    await assert.rejects(other.manifest(digest, signal), { code: 'invalid-content' })
    const large = await repositoryOn((_, response) => response.end(Buffer.alloc(5 * 1024 * 1024)))
    await assert.rejects(large.manifest('1', signal), { code: 'invalid-content' })
  })

  it('does not take its credentials to another origin', async () => {
    const seen: (string | undefined)[] = []
    const elsewhere = await listen((request, response) => {
      seen.push(request.headers.authorization)
      response.end(blob)
    })
    const repository = await repositoryOn((request, response) => {
      if (request.headers.authorization === undefined) {
        response.writeHead(401, { 'www-authenticate': 'Basic realm="r"' }).end()
      } else {
        assert.match(request.headers.authorization, /^Basic /)
        response.writeHead(307, { location: `http://${elsewhere}/bucket/blob` }).end()
      }
    })
    assert.ok((await read(repository)).equals(blob))
    assert.deepEqual(seen, [undefined])
  })

  it('follows a bounded number of redirects', async () => {
    let hops = 0
    const repository = await repositoryOn((_, response) => {
      hops++
      response.writeHead(307, { location: '/again' }).end()
    })
    await assert.rejects(read(repository), { code: 'invalid-content' })
    assert.equal(hops, 6)
  })

  it('follows no redirect to a file', async () => {
    const repository = await repositoryOn((_, response) => {
      response.writeHead(307, { location: 'file:///etc/passwd' }).end()
    })
    await assert.rejects(read(repository), { code: 'invalid-content' })
  })

  it('keeps credentials out of its errors', async () => {
    const tokens = await listen((_, response) => response.writeHead(403).end('{}'))
    const repository = await repositoryOn((_, response) => {
      const challenge = `Bearer realm="http://${tokens}/token",service="s",scope="repository:team/app:pull"`
      response.writeHead(401, { 'www-authenticate': challenge }).end()
    })
    await assert.rejects(read(repository), (error: Error) => {
      assert.ok('code' in error && error.code === 'unauthorized')
      assert.doesNotMatch(error.message, /secret/)
      assert.doesNotMatch(JSON.stringify(error), /secret/)
      return true
    })
  })

  it('sends an upload again whose connection broke', async () => {
    let puts = 0
    const repository = await repositoryOn((request, response) => {
      if (request.method === 'POST') {
        response.writeHead(202, { location: '/v2/team/app/blobs/uploads/1?state=x' }).end()
        return
      }
      puts++
      if (puts === 1) {
        request.once('data', () => request.socket.destroy())
        return
      }
      const pieces: Buffer[] = []
      request.on('data', (piece: Buffer) => pieces.push(piece))
      request.on('end', () => {
        const url = new URL(request.url ?? '/', 'http://test')
        assert.equal(url.searchParams.get('state'), 'x')
        assert.equal(url.searchParams.get('digest'), digestOf(Buffer.concat(pieces)))
        response.writeHead(201).end()
      })
    })
    await repository.putBlob({ ...descriptor, open: () => blob }, signal)
    assert.equal(puts, 2)
  })
})
