/**
 * Tests that the mount outlives its server, whether it is stopped, or killed while a reader waits.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, fork } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { NegotiatedInit } from '../../../fusefs/index.js'
import { BIG_FILE, PLAIN_MEMBERS } from '../filesystem/sample-members.js'
import { SampleMount } from './sample-mount.js'

const run = promisify(execFile)
const SERVING_PROCESS = fileURLToPath(new URL('./serving-process.js', import.meta.url))

interface Said {
  readonly negotiated?: NegotiatedInit
  readonly waiting?: boolean
  readonly ended?: boolean
}

describe('a mount whose server goes away', () => {
  let mount: SampleMount
  let child: ChildProcess | undefined

  beforeEach(async () => {
    mount = new SampleMount('plain', [PLAIN_MEMBERS])
    await mount.mount()
  })

  afterEach(async () => {
    if (child?.exitCode === null) child.kill('SIGKILL')
    await mount.close()
  })

  function startProcess(negotiated = ''): ChildProcess {
    const args = [mount.mountpoint, join(mount.dir, 'trees'), negotiated]
    child = fork(SERVING_PROCESS, args, {
      stdio: ['ignore', 'inherit', 'inherit', mount.fd, 'ipc'],
    })
    return child
  }

  async function hear(from: ChildProcess): Promise<Said> {
    const [said] = (await once(from, 'message')) as [Said]
    return said
  }

  it('goes on with the right bytes after the server was killed while a reader waited', async () => {
    const server = startProcess()
    const { negotiated } = await hear(server)
    assert.ok(negotiated)
    assert.ok(negotiated.flags.includes('HAS_RESEND'), 'the kernel is too old for this test')
    const reader = readFile(join(mount.root(), 'big'))
    assert.deepEqual(await hear(server), { waiting: true })
    server.kill('SIGKILL')
    await once(server, 'exit')
    await mount.serve({ negotiated })
    assert.ok((await reader).equals(BIG_FILE))
  })

  it('keeps inode numbers over a change of servers', async () => {
    const server = startProcess()
    const { negotiated } = await hear(server)
    assert.ok(negotiated)
    const before = await stat(join(mount.root(), 'etc/hostname'))
    server.kill('SIGKILL')
    await once(server, 'exit')
    await mount.serve({ negotiated })
    await run('sh', ['-c', 'sync; echo 2 > /proc/sys/vm/drop_caches'])
    const after = await stat(join(mount.root(), 'etc/hostname'))
    assert.deepEqual([after.ino, after.dev], [before.ino, before.dev])
  })

  it('lets a process exit after stop, and leaves waiting reads to the next server', async () => {
    const server = startProcess()
    const { negotiated } = await hear(server)
    assert.ok(negotiated)
    const reader = readFile(join(mount.root(), 'etc/hostname'), 'utf8')
    await hear(server)
    const exited = once(server, 'exit')
    server.send('stop')
    assert.deepEqual(await hear(server), { ended: true })
    assert.deepEqual(await exited, [0, null])
    await mount.serve({ negotiated })
    assert.equal(await reader, 'thin\n')
  })

  it('stops and starts many times in one process', async () => {
    let server = await mount.serve({ dispatchers: 3 })
    for (let turn = 0; turn < 5; turn++) {
      const listing = run('find', [join(mount.root(), 'deep'), '-ls'])
      assert.equal(await server.stop(), true)
      server = await mount.serve({ negotiated: server.negotiated, dispatchers: 3 })
      assert.match((await listing).stdout, /deep\/a\/b\/c/)
    }
    assert.deepEqual(mount.log.errors, [])
  })

  it('refuses a session that another server began, when what was negotiated is missing', async () => {
    const server = await mount.serve()
    await server.stop()
    const asking = stat(join(mount.root(), 'deep'))
    await assert.rejects(mount.serve(), { code: 'protocol' })
    await mount.serve({ negotiated: server.negotiated })
    assert.ok((await asking).isDirectory())
  })
})
