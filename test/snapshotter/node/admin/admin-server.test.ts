import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { askDaemon } from '../../../../snapshotter/node/admin/admin-client.js'
import { AdminServer } from '../../../../snapshotter/node/admin/admin-server.js'

const signal = (): AbortSignal => AbortSignal.timeout(10_000)

describe('AdminServer', () => {
  let folder: string
  let path: string
  let server: AdminServer

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-admin-'))
    path = join(folder, 'admin.sock')
    server = await AdminServer.listen(
      { kind: 'unix', path },
      {
        'GET /v1/status': () => Promise.resolve({ contentType: 'application/json', body: '{}' }),
        'GET /broken': () => Promise.reject(new Error('the disk is on fire')),
      },
    )
  })

  afterEach(async () => {
    await server.close()
    await server.close()
    rmSync(folder, { recursive: true })
  })

  it('answers on a socket that only its owner can open', async () => {
    assert.equal(await askDaemon(path, 'GET', '/v1/status', signal()), '{}')
    assert.equal(statSync(path).mode & 0o777, 0o600)
  })

  it('says which routes there are to one who asks for another', async () => {
    await assert.rejects(askDaemon(path, 'POST', '/v1/status', signal()), {
      code: 'internal',
      message: /GET \/v1\/status/,
    })
  })

  it('says why a route failed', async () => {
    await assert.rejects(askDaemon(path, 'GET', '/broken', signal()), /the disk is on fire/)
  })

  it('leaves its place to nobody while it listens', async () => {
    await assert.rejects(AdminServer.listen({ kind: 'unix', path }, {}), {
      code: 'failed-precondition',
    })
  })

  it('is missed, by the name of its socket, when it is gone', async () => {
    await server.close()
    await assert.rejects(askDaemon(path, 'GET', '/v1/status', signal()), {
      code: 'unavailable',
      message: /admin\.sock/,
    })
  })
})
