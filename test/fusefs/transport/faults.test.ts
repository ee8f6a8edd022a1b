/**
 * Tests what readers of a mount see when its content or an index is faulty, and which readers do
 * not notice.
 */
import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { copyFile, open, readFile, readdir, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { promisify } from 'node:util'
import { FusefsError } from '../../../fusefs/index.js'
import { BIG_FILE, PLAIN_MEMBERS } from '../filesystem/sample-members.js'
import { SampleTree, patternBytes } from '../filesystem/sample-tree.js'
import { SampleMount } from './sample-mount.js'

const run = promisify(execFile)
const OTHER_MEMBERS = [
  { path: '', mode: 0o040755 },
  { path: 'other', mode: 0o100644, content: [patternBytes(300_000, 'other')] },
]

describe('a mount with faults', () => {
  const released = new EventEmitter()
  let mount: SampleMount

  beforeEach(async () => {
    mount = new SampleMount('plain', [PLAIN_MEMBERS, OTHER_MEMBERS])
    await mount.mount()
    await mount.serve()
  })

  afterEach(async () => {
    await mount.close()
  })

  it('answers EIO for the file whose content does not come, logs it, and tries again next time', async () => {
    mount.content.beforeRead = () => {
      throw new FusefsError('fetch-failed', 'the store is away')
    }
    await assert.rejects(readFile(join(mount.root(), 'big')), { code: 'EIO' })
    assert.equal(await mount.log.hasError(/could not be answered/), true)
    assert.ok((mount.server?.counts().faults ?? 0) > 0)
    mount.content.beforeRead = () => Promise.resolve()
    assert.ok((await readFile(join(mount.root(), 'big'))).equals(BIG_FILE))
  })

  it('logs 300 reads that fail alike with one line, and counts all of them', async () => {
    mount.content.beforeRead = () => {
      throw new FusefsError('fetch-failed', 'the store is away')
    }
    const path = join(mount.root(), 'big')
    for (let i = 0; i < 300; i++) await assert.rejects(readFile(path), { code: 'EIO' })
    assert.equal(mount.log.errors.length, 1)
    const line = JSON.stringify(mount.log.errors[0])
    assert.ok(line.length < 500 && !line.includes('stack'), line)
    assert.ok((mount.server?.counts().faults ?? 0) >= 300)
  })

  it('answers everything else while a read waits', async () => {
    const gate = new EventEmitter()
    const opened = once(gate, 'open')
    mount.content.beforeRead = async () => {
      await opened
    }
    const reader = readFile(join(mount.root(), 'etc/shadow'), 'utf8')
    while (mount.server?.pendingReads === 0) await delay(5)
    assert.equal((await readdir(join(mount.root(), 'deep'))).length, 1)
    gate.emit('open')
    assert.equal(await reader, 'root:*:1::\n')
  })

  it('lets a reader be killed while it waits for the page cache', async () => {
    mount.content.beforeRead = async () => {
      await once(released, 'release')
    }
    const reader = spawn('cat', [join(mount.root(), 'etc/shadow')])
    const exited = once(reader, 'exit')
    while (mount.server?.pendingReads === 0) await delay(5)
    reader.kill('SIGKILL')
    assert.deepEqual(await exited, [null, 'SIGKILL'])
    released.emit('release')
  })

  it('stops waiting for content when a direct reader was killed', async () => {
    const events = new EventEmitter()
    const aborted = once(events, 'abort')
    mount.content.beforeRead = (signal) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          events.emit('abort')
          reject(new FusefsError('aborted', 'the reader is gone'))
        })
      })
    const input = `if=${join(mount.root(), 'etc/shadow')}`
    const reader = spawn('dd', [input, 'iflag=direct', 'bs=4096', 'status=none'])
    const exited = once(reader, 'exit')
    while (mount.server?.pendingReads === 0) await delay(5)
    reader.kill('SIGKILL')
    await aborted
    assert.deepEqual(await exited, [null, 'SIGKILL'])
    assert.deepEqual(mount.log.errors, [])
  })

  it('does not answer EINTR to a reader that got a signal it handles', async () => {
    mount.content.beforeRead = () => delay(1500)
    const script =
      'use strict; $SIG{ALRM} = sub {}; alarm 1; open(my $f, "<", $ARGV[0]) or die; ' +
      'defined(sysread($f, my $got, 100)) or die "read: $!"; print $got'
    const { stdout } = await run('perl', ['-e', script, join(mount.root(), 'etc/shadow')])
    assert.equal(stdout, 'root:*:1::\n')
  })

  it('serves the other trees when the index of one is damaged', async () => {
    const [damaged] = mount.records
    assert.ok(damaged)
    await truncate(mount.registry.indexPath(damaged.indexDigest), 1000)
    await assert.rejects(stat(mount.root(0)), { code: 'EIO' })
    assert.equal(await mount.log.hasError(/LOOKUP/), true)
    assert.deepEqual(await readdir(mount.root(1)), ['other'])
    assert.deepEqual((await readdir(mount.mountpoint)).sort(), ['1', '2'])
  })

  it('answers EIO where the rows of an index are damaged, and nothing wrong anywhere', async () => {
    const [record] = mount.records
    assert.ok(record)
    const path = mount.registry.indexPath(record.indexDigest)
    await copyFile(path, `${path}.good`)
    const { size } = await stat(path)
    const file = await open(path, 'r+')
    for (let page = 4096 * 12; page < size; page += 4096 * 3) {
      await file.write(Buffer.alloc(64, 0xff), 0, 64, page)
    }
    await file.close()
    const { stdout } = await run('sh', [
      '-c',
      `find ${mount.root()} 2>&1 >/dev/null | head -5; true`,
    ])
    assert.match(stdout, /Input\/output error/)
    assert.equal(await mount.log.hasError(/./), true)
  })

  it('shows a tree that was registered later at once, and one that was removed no longer', async () => {
    assert.deepEqual((await readdir(mount.mountpoint)).sort(), ['1', '2'])
    await assert.rejects(stat(join(mount.mountpoint, '3')), { code: 'ENOENT' })
    const members = [{ path: '', mode: 0o040755 }]
    const record = mount.register(new SampleTree(members))
    assert.equal(record.name, '3')
    assert.ok((await stat(join(mount.mountpoint, '3'))).isDirectory())
    await mount.server?.treesChanged()
    assert.deepEqual((await readdir(mount.mountpoint)).sort(), ['1', '2', '3'])
    mount.registry.remove(2)
    await mount.server?.treesChanged([2])
    assert.deepEqual((await readdir(mount.mountpoint)).sort(), ['1', '3'])
    await assert.rejects(stat(mount.root(1)), { code: 'ENOENT' })
  })

  it('reads a pack in its threads once it is there', async () => {
    await readFile(join(mount.root(1), 'other'))
    const { reads } = mount.content
    await run('sh', ['-c', 'sync; echo 1 > /proc/sys/vm/drop_caches'])
    assert.equal((await readFile(join(mount.root(1), 'other'))).length, 300_000)
    assert.equal(mount.content.reads, reads)
  })
})
