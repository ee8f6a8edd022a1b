/** The tests that every transport must pass with the sample members. */
import assert from 'node:assert/strict'
import {
  BIG_FILE,
  CAPABILITY,
  LARGE_DIRECTORY_ENTRIES,
  NON_UTF8_NAME,
  SPARSE_FILE,
  SPARSE_HEAD,
  SPARSE_MIDDLE,
} from './sample-members.js'
import type { Limitation, Viewer } from './viewer.js'

export interface SuiteOptions {
  /** Returns the viewer of a mounted `XATTR_MEMBERS`. Called inside tests only. */
  readonly viewer: () => Viewer
  readonly limitations?: readonly Limitation[]
}

export function filesystemSuite({ viewer, limitations = [] }: SuiteOptions): void {
  const itUnless = (limitation: Limitation, title: string, test: () => Promise<void>): void => {
    if (!limitations.includes(limitation)) it(title, test)
    else it.skip(`${title} (the transport cannot express ${limitation})`, test)
  }

  it('shows type, permissions and owner', async () => {
    const seen = await viewer().lstat('etc/shadow')
    assert.deepEqual([seen.mode, seen.uid, seen.gid, seen.size], [0o100640, 0, 42, 11])
    assert.equal((await viewer().lstat('su')).mode, 0o104755)
    assert.equal((await viewer().lstat('')).mode, 0o040755)
  })

  itUnless('ids above 2^31', 'shows owners up to 2^32 - 2', async () => {
    const seen = await viewer().lstat('owned')
    assert.deepEqual([seen.uid, seen.gid], [123_456, 4_294_967_294])
  })

  itUnless('nanoseconds', 'shows times to the nanosecond', async () => {
    const seen = await viewer().lstat('etc/hostname')
    assert.equal(seen.mtimeNs, 1_234_567_890_123_456_789n)
    assert.equal((await viewer().lstat('old')).mtimeNs, 0n)
  })

  it('counts links', async () => {
    assert.equal((await viewer().lstat('etc/hostname')).nlink, 2)
    assert.equal((await viewer().lstat('deep')).nlink, 3)
    assert.equal((await viewer().lstat('deep/a/b')).nlink, 2)
  })

  itUnless('hard-link inode numbers', 'gives hard links one inode number', async () => {
    const [one, other] = [await viewer().lstat('etc/hostname'), await viewer().lstat('etc/hosts')]
    assert.equal(one.ino, other.ino)
    assert.notEqual(one.ino, (await viewer().lstat('etc/shadow')).ino)
  })

  itUnless('blocks', 'counts the blocks that hold data, not the holes', async () => {
    const { size, blocks } = await viewer().lstat('sparse')
    assert.equal(size, SPARSE_FILE.length)
    assert.equal(blocks, Math.ceil((SPARSE_HEAD.length + SPARSE_MIDDLE.length) / 512))
    assert.equal((await viewer().lstat('hole')).blocks, 0)
  })

  itUnless('devices', 'shows device numbers', async () => {
    const seen = await viewer().lstat('null')
    assert.deepEqual([seen.mode, seen.rdev], [0o020666, makedev(1, 3)])
    assert.equal((await viewer().lstat('disk')).rdev, makedev(259, 1_048_575))
    assert.deepEqual((await viewer().lstat('whiteout')).rdev, 0)
    assert.equal((await viewer().lstat('pipe')).mode, 0o010600)
  })

  it('reads symbolic links byte by byte', async () => {
    assert.equal(await viewer().readlink('link'), 'etc/hostname')
    assert.equal((await viewer().lstat('link')).size, 12)
  })

  itUnless('names that are not UTF-8', 'keeps names and targets that are not UTF-8', async () => {
    assert.equal(await viewer().readlink('strange-link'), 'to/\xfe\xff/../x')
    assert.ok((await viewer().list('')).includes(NON_UTF8_NAME))
    assert.deepEqual(await viewer().list(NON_UTF8_NAME), ['\x01\x80'])
    const content = await viewer().read(`${NON_UTF8_NAME}/\x01\x80`, 0, 100)
    assert.equal(content.toString(), 'bytes')
  })

  it('takes names of 255 bytes', async () => {
    assert.equal((await viewer().read('n'.repeat(255), 0, 10)).toString(), 'long')
  })

  it('answers ENOENT for what is not there, and again', async () => {
    for (const path of ['nothing', 'nothing', 'etc/nothing', 'deep/a/b/d']) {
      await assert.rejects(viewer().lstat(path), { code: 'ENOENT' })
    }
  })

  it('lists a large directory once and in order', async () => {
    const names = await viewer().list('many')
    assert.equal(names.length, LARGE_DIRECTORY_ENTRIES)
    assert.deepEqual(names, [...names].sort())
    assert.equal(names[9_999], 'entry-09999')
  })

  it('lists directories while others list them, too', async () => {
    const all = await Promise.all(Array.from({ length: 4 }, () => viewer().list('many')))
    for (const names of all) assert.equal(new Set(names).size, LARGE_DIRECTORY_ENTRIES)
  })

  it('reads a big file whole, in odd pieces, and across its end', async () => {
    assert.ok((await viewer().read('big', 0, BIG_FILE.length + 10)).equals(BIG_FILE))
    for (const [offset, length] of [
      [1, 1],
      [4095, 2],
      [65_535, 131_073],
      [1_048_577, 1_048_575],
      [BIG_FILE.length - 7, 100],
    ] as const) {
      const piece = await viewer().read('big', offset, length)
      assert.ok(piece.equals(BIG_FILE.subarray(offset, offset + length)), `${offset}+${length}`)
    }
    assert.equal((await viewer().read('big', BIG_FILE.length, 10)).length, 0)
    assert.equal((await viewer().read('empty', 0, 10)).length, 0)
  })

  it('reads holes as zeros', async () => {
    assert.ok((await viewer().read('sparse', 0, SPARSE_FILE.length)).equals(SPARSE_FILE))
    const edge = await viewer().read('sparse', SPARSE_HEAD.length - 3, 10)
    assert.ok(edge.equals(SPARSE_FILE.subarray(SPARSE_HEAD.length - 3, SPARSE_HEAD.length + 7)))
    assert.ok((await viewer().read('hole', 0, 200_000)).equals(Buffer.alloc(100_000)))
  })

  itUnless('extended attributes', 'shows extended attributes as they are', async () => {
    assert.ok((await viewer().xattr('ping', 'security.capability')).equals(CAPABILITY))
    assert.deepEqual(await viewer().xattrNames('ping'), ['security.capability', 'user.binary'])
    assert.ok((await viewer().xattr('ping', 'user.binary')).equals(Buffer.from([0, 255, 10, 0])))
    assert.equal((await viewer().xattr('opaque', 'trusted.overlay.opaque')).toString(), 'y')
    await assert.rejects(viewer().xattr('big', 'user.none'), { code: 'ENODATA' })
    assert.deepEqual(await viewer().xattrNames('big'), [])
  })
}

/** Like glibc's `gnu_dev_makedev`, for numbers that fit 32 bits. */
function makedev(major: number, minor: number): number {
  return ((major << 8) | (minor & 0xff) | ((minor & ~0xff) << 12)) >>> 0
}
