/** Tests trees as lower layers of overlayfs, as containers use them. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { appendFile, mkdir, readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { PLAIN_MEMBERS } from '../filesystem/sample-members.js'
import type { Member } from '../filesystem/sample-tree.js'
import { SampleMount } from './sample-mount.js'

const run = promisify(execFile)
const PRESSURE_MS = 4000

const UPPER_MEMBERS: readonly Member[] = [
  { path: '', mode: 0o040755 },
  { path: 'etc', mode: 0o040755 },
  { path: 'etc/shadow', mode: 0o020000, rdev: 0 },
  { path: 'etc/added', mode: 0o100644, content: [Buffer.from('added')] },
  {
    path: 'deep',
    mode: 0o040755,
    xattrs: { 'trusted.overlay.opaque': Buffer.from('y') },
  },
  { path: 'deep/only', mode: 0o100644 },
]

describe('overlayfs over trees', () => {
  let mount: SampleMount
  let merged: string

  before(async () => {
    mount = new SampleMount('xattr', [PLAIN_MEMBERS, UPPER_MEMBERS])
    await mount.mount()
    await mount.serve()
    merged = join(mount.dir, 'merged')
    for (const name of ['upper', 'work', 'merged']) await mkdir(join(mount.dir, name))
    const lower = `${mount.root(1)}:${mount.root(0)}`
    const options = `lowerdir=${lower},upperdir=${mount.dir}/upper,workdir=${mount.dir}/work`
    await run('mount', ['-t', 'overlay', 'overlay', '-o', options, merged])
  })

  after(async () => {
    await run('umount', ['-l', merged]).catch(() => undefined)
    await mount.close()
  })

  it('hides whited-out names and what lies below opaque directories', async () => {
    assert.deepEqual(await readdir(join(merged, 'etc')), ['added', 'hostname', 'hosts'])
    assert.deepEqual(await readdir(join(merged, 'deep')), ['only'])
    await assert.rejects(stat(join(merged, 'etc/shadow')), { code: 'ENOENT' })
  })

  it('runs setuid programs and opens devices, although the lower mount is nosuid and nodev', async () => {
    await run('cp', [join(merged, 'null'), join(merged, 'null-copy')]).catch(() => undefined)
    await run('sh', ['-c', `echo gone > ${join(merged, 'null')}`])
    assert.equal((await stat(join(merged, 'su'))).mode & 0o7777, 0o4755)
  })

  it('keeps a file its inode number when it is copied up', async () => {
    const path = join(merged, 'old')
    const before = await stat(path)
    await run('sh', ['-c', 'sync; echo 2 > /proc/sys/vm/drop_caches'])
    await appendFile(path, 'more')
    const after = await stat(path)
    assert.equal(await readFile(path, 'utf8'), 'more')
    assert.equal(after.ino, before.ino)
  })

  it('never answers ESTALE while the kernel drops its caches all the time', async () => {
    const until = Date.now() + PRESSURE_MS
    let walks = 0
    let drops = 0
    // At least this many walks and drops, even if a busy machine needs longer for them.
    const isOn = (): boolean => Date.now() < until || walks <= 3 || drops <= 10
    const drop = async (): Promise<void> => {
      while (isOn()) {
        await run('sh', ['-c', 'echo 2 > /proc/sys/vm/drop_caches'])
        drops++
      }
    }
    const walk = async (): Promise<void> => {
      while (isOn()) {
        const { stdout } = await run('sh', [
          '-c',
          `cd ${merged} && find . -ls | wc -l; cat etc/hostname`,
        ])
        assert.match(stdout, /^100\d\d\nthin\n$/)
        walks++
      }
    }
    const deepFile = async (): Promise<void> => {
      while (isOn()) await stat(join(merged, 'many/entry-00042'))
    }
    await Promise.all([drop(), walk(), walk(), deepFile()])
    assert.deepEqual(mount.log.errors, [])
    assert.equal(mount.server?.counts().errors, 0)
  })
})
