import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { mountTree } from '../../../fusefs/index.js'
import { digestOf } from '../../../index-format/index.js'
import { filesystemSuite } from '../filesystem/filesystem-suite.js'
import { MountViewer } from '../filesystem/mount-viewer.js'
import { BIG_FILE, XATTR_MEMBERS } from '../filesystem/sample-members.js'
import { SampleLog } from './sample-log.js'
import { SampleTreeMount } from './sample-tree-mount.js'

const SMALL_MEMBERS = [
  { path: '', mode: 0o040755 },
  { path: 'deep', mode: 0o040755 },
  { path: 'big', mode: 0o100644, content: [BIG_FILE] },
]

describe('mountTree through the kernel', () => {
  let mount: SampleTreeMount

  before(async () => {
    mount = await SampleTreeMount.create(XATTR_MEMBERS, 'kernel')
  })

  after(async () => {
    await mount.close()
  })

  filesystemSuite({ viewer: () => new MountViewer(mount.mountpoint) })

  it('has the tree at its root, and small inode numbers', async () => {
    const seen = await new MountViewer(mount.mountpoint).lstat('etc')
    assert.ok(seen.ino > 1 && seen.ino < 100)
    assert.ok((await readdir(mount.mountpoint)).includes('etc'))
  })
})

describe('a tree mounted by mountTree', () => {
  let mount: SampleTreeMount

  beforeEach(async () => {
    mount = await SampleTreeMount.create(SMALL_MEMBERS, 'kernel')
  })

  afterEach(async () => {
    await mount.close()
  })

  it('unmounts although a file is open and a process stands in it', async () => {
    const file = await open(join(mount.mountpoint, 'big'))
    const stander = spawn('sleep', ['30'], { cwd: join(mount.mountpoint, 'deep') })
    await once(stander, 'spawn')
    await mount.mounted.unmount()
    await mount.mounted.ended
    assert.equal(mount.procMounts(), '')
    await assert.rejects(file.read(Buffer.alloc(10), 0, 10, 0), { code: 'ENOTCONN' })
    await file.close()
    stander.kill('SIGKILL')
    await once(stander, 'exit')
  })

  it('refuses an index that is none, and a mountpoint that is not there, and leaves nothing', async () => {
    const options = {
      indexPath: '/etc/passwd',
      indexDigest: digestOf(Buffer.alloc(0)),
      stores: [],
      mountpoint: '/nowhere/at/all',
      transport: 'kernel',
    } as const
    const modules = { content: mount.content, log: new SampleLog() }
    await assert.rejects(mountTree(options, modules), /\/etc\/passwd/)
    const indexPath = join(mount.mountpoint, '../index')
    await assert.rejects(mountTree({ ...options, indexPath }, modules), { code: 'mount-failed' })
  })
})
