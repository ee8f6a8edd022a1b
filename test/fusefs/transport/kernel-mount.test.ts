import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { filesystemSuite } from '../filesystem/filesystem-suite.js'
import { MountViewer } from '../filesystem/mount-viewer.js'
import { PLAIN_MEMBERS, XATTR_MEMBERS } from '../filesystem/sample-members.js'
import { SampleMount } from './sample-mount.js'

const run = promisify(execFile)

describe('a tree mounted through the kernel', () => {
  let mount: SampleMount

  before(async () => {
    mount = new SampleMount('xattr', [XATTR_MEMBERS])
    await mount.mount()
    await mount.serve()
  })

  after(async () => {
    await mount.close()
  })

  filesystemSuite({ viewer: () => new MountViewer(mount.root()) })

  it('shows that it lives by an answer to a request of its own', async () => {
    const statfs = (): number => mount.server?.counts().requests['STATFS'] ?? 0
    const before = statfs()
    await mount.server?.answered()
    assert.equal(statfs(), before + 1)
  })

  it('answered all of this without a fault', () => {
    assert.deepEqual(mount.log.errors, [])
    assert.equal(mount.server?.counts().faults, 0)
  })
})

describe('a tree without extended attributes, mounted through the kernel', () => {
  let mount: SampleMount

  before(async () => {
    mount = new SampleMount('plain', [PLAIN_MEMBERS])
    await mount.mount()
    await mount.serve()
  })

  after(async () => {
    await mount.close()
  })

  filesystemSuite({
    viewer: () => new MountViewer(mount.root()),
    limitations: ['extended attributes'],
  })

  it('lists no attributes, without an error', async () => {
    const { stdout, stderr } = await run('getfattr', ['-d', '-m', '-', mount.root()])
    assert.equal(stdout, '')
    assert.equal(stderr, '')
  })

  it('was asked for an attribute, an open and an opendir at most once', () => {
    const requests = mount.server?.counts().requests ?? {}
    for (const opcode of ['GETXATTR', 'OPEN', 'OPENDIR', 'FLUSH', 'STATX'] as const) {
      assert.ok((requests[opcode] ?? 0) <= 1, `${opcode}: ${requests[opcode] ?? 0}`)
    }
  })
})
