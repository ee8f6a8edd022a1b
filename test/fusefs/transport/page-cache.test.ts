/**
 * Tests the page cache from the server's side: READs are recorded, pages are dropped and stored.
 */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { lstat, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { setReadAhead } from '../../../fusefs/index.js'
import { ROOT_INO } from '../../../index-format/index.js'
import { BIG_FILE, PLAIN_MEMBERS } from '../filesystem/sample-members.js'
import { patternBytes } from '../filesystem/sample-tree.js'
import { SampleMount } from './sample-mount.js'

const run = promisify(execFile)
const PAGE = 4096

describe('the page cache of a mount', () => {
  let mount: SampleMount
  let slot: number

  beforeEach(async () => {
    mount = new SampleMount('plain', [PLAIN_MEMBERS, PLAIN_MEMBERS.slice(0, 6)])
    await mount.mount()
    await mount.serve()
    slot = mount.records[0]?.slot ?? 0
  })

  afterEach(async () => {
    await mount.close()
  })

  it('is filled page by page while nothing is read ahead, and each READ of the tree is told', async () => {
    await setReadAhead(mount.mountpoint, 0)
    const reads: [number, number, number][] = []
    const stop = server().recordReads(slot, (...read) => reads.push(read))
    const { ino } = await fileAt('big')
    await readPages(join(mount.root(), 'big'), [300, 2, 3])
    await readFile(join(mount.root(1), 'etc/hostname'))
    assert.deepEqual(reads, [
      [ino, 300 * PAGE, PAGE],
      [ino, 2 * PAGE, PAGE],
      [ino, 3 * PAGE, PAGE],
    ])
    stop()
    await readPages(join(mount.root(), 'big'), [500])
    assert.equal(reads.length, 3)
  })

  it('is asked again for names that it knows while it is told where something is looked for', async () => {
    const path = join(mount.root(), 'etc/hostname')
    await lstat(path)
    const { ino } = await fileAt('etc')
    const looks = new Set<number>()
    const stop = await server().recordLooks(slot, (directory) => looks.add(directory))
    await lstat(path)
    await lstat(join(mount.root(1), 'etc/hostname'))
    assert.deepEqual([...looks], [ROOT_INO, ino])
    stop()
    looks.clear()
    await assert.rejects(lstat(join(mount.root(), 'etc/none')), { code: 'ENOENT' })
    assert.equal(looks.size, 0)
  })

  it('loses the pages of a file that are dropped', async () => {
    const { ino } = await fileAt('big')
    await readFile(join(mount.root(), 'big'))
    const before = readsAnswered()
    await readFile(join(mount.root(), 'big'))
    assert.equal(readsAnswered(), before)
    assert.equal(await server().kernelCache.drop(slot, ino), true)
    assert.deepEqual(await readFile(join(mount.root(), 'big')), BIG_FILE)
    assert.ok(readsAnswered() > before)
  })

  it('holds the bytes that were put there: no READ arrives for them', async () => {
    const { ino } = await fileAt('big')
    const other = patternBytes(BIG_FILE.length, 'other')
    const { kernelCache } = server()
    const stored = await Promise.all(
      [0, 64 * PAGE].map((start) => {
        const offsets: number[] = []
        for (let at = start; at < other.length; at += 128 * PAGE) offsets.push(at)
        // `store` transfers the bytes to its thread, so each call gets a copy.
        return kernelCache.store(
          slot,
          new Uint8Array(other),
          offsets.map((offset) => {
            const length = Math.min(64 * PAGE, other.length - offset)
            return { ino, offset, from: offset, length }
          }),
        )
      }),
    )
    assert.equal(
      stored.reduce((sum, { storedBytes }) => sum + storedBytes, 0),
      other.length,
    )
    for (const { bytes } of stored) assert.deepEqual(Buffer.from(bytes ?? []), other)
    assert.deepEqual(await readFile(join(mount.root(), 'big')), other)
    assert.equal(readsAnswered(), 0)
    assert.equal((await lstat(join(mount.root(), 'big'))).size, BIG_FILE.length)
    assert.equal(server().counts().bytesStored, BIG_FILE.length)
  })

  it('takes nothing for an inode that nobody has looked at', async () => {
    assert.equal(await storePage(12_345), 0)
    assert.equal(await server().kernelCache.drop(slot, 12_345), false)
    assert.equal(server().counts().bytesStored, 0)
  })

  it('takes something for a file once it has been looked at, whatever else was', async () => {
    const { ino } = await fileAt('big')
    await run('sh', ['-c', 'sync; echo 3 > /proc/sys/vm/drop_caches'])
    assert.equal(await storePage(ino), 0)
    const paths = ['absent', 'big/below', 'big'].map((name) =>
      Buffer.from(join(mount.root(), name)),
    )
    server().kernelCache.look(paths)
    assert.equal(await storePage(ino), PAGE)
  })

  it('takes nothing any more once it is closed', async () => {
    const { ino } = await fileAt('big')
    const { kernelCache } = server()
    const stored = storePage(ino)
    await Promise.all([kernelCache.close(), kernelCache.close()])
    assert.equal(await stored, PAGE)
    assert.equal(await storePage(ino), 0)
    assert.equal(await kernelCache.drop(slot, ino), false)
  })

  async function storePage(ino: number): Promise<number> {
    const run = { ino, offset: 0, from: 0, length: PAGE }
    const { storedBytes } = await server().kernelCache.store(slot, new Uint8Array(PAGE), [run])
    return storedBytes
  }

  function server(): NonNullable<SampleMount['server']> {
    assert.ok(mount.server)
    return mount.server
  }

  function readsAnswered(): number {
    return server().counts().requests.READ ?? 0
  }

  /**
   * Returns a file's inode number in its tree. The mount's inode numbers have the tree's slot in
   * the upper 32 bits.
   */
  async function fileAt(path: string): Promise<{ ino: number }> {
    const { ino } = await lstat(join(mount.root(), path))
    return { ino: ino % 2 ** 32 }
  }

  /** Reads pages in other processes, because read-ahead is set when a process opens the file. */
  async function readPages(path: string, pages: readonly number[]): Promise<void> {
    for (const page of pages) {
      await run('dd', [`if=${path}`, `bs=${PAGE}`, `skip=${page}`, 'count=1', 'of=/dev/null'])
    }
  }
})
