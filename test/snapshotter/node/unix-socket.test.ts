import assert from 'node:assert/strict'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { UnixSocket } from '../../../snapshotter/node/unix-socket.js'
import { runProgram } from '../../sandbox/program.js'

describe('UnixSocket', () => {
  let directory: string
  let servers: Server[]

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'socket-'))
    servers = []
  })
  afterEach(async () => {
    for (const server of servers) server.close()
    await rm(directory, { recursive: true })
  })

  async function listen(path: string): Promise<void> {
    const server = createServer((socket) => socket.end())
    servers.push(server)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(path, resolve)
    })
  }

  it('appears with its mode, and goes when it is closed', async () => {
    const path = join(directory, 'deeper', 'x.sock')
    const socket = await UnixSocket.create({ path, mode: 0o640 }, listen)
    assert.equal((await stat(path)).mode & 0o7777, 0o640)
    await socket.close()
    await socket.close()
    assert.deepEqual(await readdir(join(directory, 'deeper')), [])
  })

  it('replaces a socket nobody listens on', async () => {
    const path = join(directory, 'x.sock')
    const script = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`
    await assert.rejects(runProgram([process.execPath, '-e', script, path]))
    assert.ok((await stat(path)).isSocket())
    const socket = await UnixSocket.create({ path, mode: 0o600 }, listen)
    await socket.close()
  })

  it('leaves a socket alone that somebody listens on', async () => {
    const path = join(directory, 'x.sock')
    const socket = await UnixSocket.create({ path, mode: 0o600 }, listen)
    await assert.rejects(UnixSocket.create({ path, mode: 0o600 }, listen), {
      code: 'failed-precondition',
      message: /another process listens there/,
    })
    await socket.close()
  })

  it('leaves a file alone that is no socket', async () => {
    const path = join(directory, 'x.sock')
    await writeFile(path, 'precious')
    await assert.rejects(UnixSocket.create({ path, mode: 0o600 }, listen), {
      code: 'failed-precondition',
      message: /not a socket/,
    })
    assert.equal((await stat(path)).size, 8)
  })

  it('does not take away the socket of one who came later', async () => {
    const path = join(directory, 'x.sock')
    const first = await UnixSocket.create({ path, mode: 0o600 }, listen)
    await rm(path)
    const second = await UnixSocket.create({ path, mode: 0o600 }, listen)
    await first.close()
    assert.ok((await stat(path)).isSocket())
    await second.close()
  })

  it('says when the path is too long, or cannot be listened on', async () => {
    const path = join(directory, 'x'.repeat(120))
    await assert.rejects(UnixSocket.create({ path, mode: 0o600 }, listen), {
      code: 'invalid-argument',
      message: /may have 107 bytes/,
    })
    const fails = (): Promise<void> => Promise.reject(new Error('no'))
    await assert.rejects(UnixSocket.create({ path: join(directory, 'y'), mode: 0o600 }, fails), {
      code: 'internal',
      message: /listen on .*y: no/,
    })
    assert.deepEqual(await readdir(directory), [])
  })
})
