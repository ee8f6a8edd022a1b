/**
 * Tests that a mount is served without threads until its first tree, and by threads from then on.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PLAIN_MEMBERS } from '../filesystem/sample-members.js'
import { SampleTree } from '../filesystem/sample-tree.js'
import { SampleMount } from './sample-mount.js'

const run = promisify(execFile)
const SOON = { timeout: 10_000 }

describe('a mount that has no trees yet', () => {
  let mount: SampleMount

  beforeEach(async () => {
    mount = new SampleMount('xattr', [PLAIN_MEMBERS])
    // Remove the tree from the registry, but keep its content.
    for (const { slot } of mount.records) mount.registry.remove(slot)
    await mount.mount()
  })

  afterEach(async () => {
    await mount.close()
    assert.deepEqual(mount.log.errors, [])
  })

  it('answers whoever looks at it', async () => {
    await mount.serve()
    assert.equal((await run('ls', ['-a', mount.mountpoint], SOON)).stdout, '.\n..\n')
    assert.match((await run('df', [mount.mountpoint], SOON)).stdout, /thin-test/)
    await assert.rejects(run('stat', [join(mount.mountpoint, 'a')], SOON))
  })

  it('stops, and is taken over', async () => {
    const first = await mount.serve()
    assert.equal(await first.stop({ timeoutMs: 5000 }), true)
    await mount.serve({ negotiated: first.negotiated })
    await run('ls', [mount.mountpoint], SOON)
  })

  it('serves the first tree, with threads and before they have started', async () => {
    const server = await mount.serve()
    await run('ls', [mount.mountpoint], SOON)
    const record = mount.register(new SampleTree(PLAIN_MEMBERS))
    const root = join(mount.mountpoint, record.name)
    const started = server.startThreads()
    const early = run('cat', [join(root, 'etc/hostname')], SOON)
    await started
    await server.startThreads()
    const readers = Array.from({ length: 8 }, () => run('find', [join(root, 'deep'), '-ls'], SOON))
    for (const { stdout } of await Promise.all(readers)) assert.match(stdout, /deep\/a\/b\/c/)
    assert.equal((await early).stdout, 'thin\n')
    assert.equal(await server.stop({ timeoutMs: 5000 }), true)
    await mount.serve({ negotiated: server.negotiated })
    assert.equal(await readFile(join(root, 'etc/hostname'), 'utf8'), 'thin\n')
  })

  it('answers reads of a tree that nobody announced', async () => {
    await mount.serve()
    const record = mount.register(new SampleTree(PLAIN_MEMBERS))
    const { stdout } = await run('cat', [join(mount.mountpoint, record.name, 'etc/hostname')], SOON)
    assert.equal(stdout, 'thin\n')
  })

  it('ends when the mount goes away', async () => {
    const server = await mount.serve()
    await run('umount', [mount.mountpoint])
    await server.ended
  })
})
