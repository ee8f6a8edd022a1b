import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  digestOf,
  Index,
  type PackTable,
  writeIndex,
  type WriteIndexOptions,
} from '../../../index-format/index.js'
import { MemoryTree } from './memory-tree.js'

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')

/** The table of a pack with frames of these raw sizes. The tests never read the pack's content. */
function packOf(name: string, ...rawSizes: number[]): PackTable {
  let rawOffset = 0
  let offset = 0
  const frames = rawSizes.map((rawSizeBytes, at) => {
    const digest = digestOf(bytes(`${name} frame ${at}`))
    const frame = { rawOffset, rawSizeBytes, offset, sizeBytes: 10 + at, digest }
    rawOffset += rawSizeBytes
    offset += 10 + at
    return frame
  })
  const digest = digestOf(bytes(name))
  return { digest, sizeBytes: offset + 100, rawSizeBytes: rawOffset, frames }
}

const PACKS = [packOf('unused', 7), packOf('one', 1000, 500), packOf('two', 300)]

function exampleTree(): MemoryTree {
  const tree = new MemoryTree()
  tree.directory('usr', { mode: 0o755, uid: 3, gid: 4, mtimeNsec: 999_999_999 })
  tree.directory('usr/bin', {
    xattrs: { 'trusted.overlay.opaque': 'y', 'user.overlay.opaque': 'y' },
  })
  tree.directory('etc', { implied: true })
  const python = tree.file('usr/bin/python3', 700, [extent(0, 700, 2, 200)], {
    mode: 0o4755,
    xattrs: { 'security.capability': '\x01\x00\x00\x02' },
  })
  tree.link('usr/bin/python', python)
  tree.file('usr/empty', 0, [])
  tree.file('usr/sparse', 10_000, [extent(100, 50, 2, 0), extent(9_000, 300, 1, 0)])
  tree.symlink('bin', 'usr/bin')
  tree.special('usr/null', 0o020666, { rdev: 0x103 })
  tree.special('etc/gone', 0o020000)
  tree.file('etc/\xff\xfe', 1, [extent(0, 1, 1, 299)])
  return tree
}

function extent(offset: number, length: number, pack: number, rawOffset: number) {
  return { offset, length, pack, rawOffset }
}

describe('Index', () => {
  let folder: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'index-'))
  })
  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  // exampleTree gives packs by their keys in the written index: 2 is "one" and 1 is "two". Here the
  // keys become positions in PACKS.
  function write(tree: MemoryTree, options: Partial<WriteIndexOptions> = {}) {
    const path = join(folder, 'index#1?.thin')
    const written = writeIndex(tree, {
      path,
      kind: 'layer',
      packs: PACKS,
      extentsOf: (ino) =>
        tree.extents(ino).map((run) => ({ ...run, pack: run.pack === 2 ? 1 : 2 })),
      ...options,
    })
    return { path, written, index: Index.open(path) }
  }

  it('gives back every attribute, numbered breadth first in byte order of name', () => {
    const { index, written } = write(exampleTree())
    const names = (ino: number) =>
      index.readdir(ino, 0, 100).map((e) => `${e.ino} ${Buffer.from(e.name).toString('latin1')}`)
    assert.deepEqual(names(1), ['2 bin', '3 etc', '4 usr'])
    assert.deepEqual(names(3), ['5 gone', '6 \xff\xfe'])
    assert.deepEqual(names(4), ['7 bin', '8 empty', '9 null', '10 sparse'])
    assert.deepEqual(names(7), ['11 python', '11 python3'])
    assert.deepEqual(index.inode(11), {
      ino: 11,
      mode: 0o104755,
      uid: 0,
      gid: 0,
      nlink: 2,
      sizeBytes: 700,
      storedBytes: 700,
      rdev: 0,
      mtimeSec: 1_700_000_000,
      mtimeNsec: 0,
      implied: false,
    })
    assert.equal(index.inode(3)?.implied, true)
    assert.equal(index.inode(4)?.mtimeNsec, 999_999_999)
    assert.equal(index.inode(9)?.rdev, 0x103)
    assert.equal(index.inode(10)?.storedBytes, 350)
    assert.equal(index.inode(12), undefined)
    assert.deepEqual(index.meta, written.meta)
    assert.deepEqual(index.meta, {
      kind: 'layer',
      inodes: 11,
      entries: 11,
      files: 4,
      frames: 3,
      packs: 2,
      sizeBytes: 10_701,
      storedBytes: 1051,
      xattrs: true,
    })
    index.close()
    index.close()
  })

  it('finds names, link targets, attributes and extents', () => {
    const { index } = write(exampleTree())
    assert.equal(index.lookup(7, bytes('python')), 11)
    assert.equal(index.lookup(7, bytes('perl')), undefined)
    assert.equal(index.lookup(3, new Uint8Array([0xff, 0xfe])), 6)
    assert.deepEqual(index.lookupInode(7, bytes('python3')), index.inode(11))
    assert.equal(index.lookupInode(7, bytes('perl')), undefined)
    assert.deepEqual(index.readlink(2), bytes('usr/bin'))
    assert.equal(index.readlink(4), undefined)
    assert.deepEqual(index.xattrs(7), [
      { name: bytes('trusted.overlay.opaque'), value: bytes('y') },
      { name: bytes('user.overlay.opaque'), value: bytes('y') },
    ])
    assert.deepEqual(index.xattr(11, bytes('security.capability')), bytes('\x01\x00\x00\x02'))
    assert.equal(index.xattr(11, bytes('user.none')), undefined)
    assert.deepEqual(index.xattrs(2), [])
    assert.deepEqual(index.extents(8), [])
    assert.deepEqual(index.extents(1), [])
    assert.deepEqual(index.extents(11), [extent(0, 700, 2, 200)])
    assert.deepEqual(index.extents(10), [extent(100, 50, 2, 0), extent(9_000, 300, 1, 0)])
    index.close()
  })

  it('holds the packs that are used, each with all its frames', () => {
    const { index } = write(exampleTree())
    assert.deepEqual(
      index.packs().map((pack) => [pack.key, pack.digest]),
      [
        [1, PACKS[2]?.digest],
        [2, PACKS[1]?.digest],
      ],
    )
    assert.deepEqual(index.packTable(2), PACKS[1])
    assert.equal(index.packKeyOf(digestOf(bytes('one'))), 2)
    assert.equal(index.packKeyOf(digestOf(bytes('unused'))), undefined)
    assert.throws(() => index.packTable(3), { code: 'invalid-index' })
    index.close()
  })

  it('lists a directory from any cookie, remembered or not', () => {
    const tree = new MemoryTree()
    for (let at = 0; at < 300; at++) tree.symlink(`name ${at}`, 'x')
    const { index, path } = write(tree)
    const whole = index.readdirPlus(1, 0, 1000)
    assert.equal(whole.length, 300)
    for (const step of [1, 7, 300]) {
      const seen = []
      for (let cookie = 0; ;) {
        const batch = index.readdir(1, cookie, step)
        // A full reply buffer takes only part of a batch, so continue from inside the batch.
        const taken = batch.slice(0, Math.max(1, step - 2))
        if (taken.length === 0) break
        seen.push(...taken)
        cookie = taken.at(-1)?.cookie ?? 0
      }
      assert.deepEqual(
        seen,
        whole.map(({ name, ino, mode, cookie }) => ({ name, ino, mode, cookie })),
      )
    }
    const fresh = Index.open(path)
    assert.deepEqual(fresh.readdirPlus(1, 123, 5), whole.slice(123, 128))
    assert.deepEqual(fresh.readdir(1, 300, 5), [])
    assert.deepEqual(fresh.readdir(1, 4000, 5), [])
    fresh.close()
    index.close()
  })

  it('writes the same bytes for the same tree, whatever numbers the tree uses', () => {
    const first = write(exampleTree())
    first.index.close()
    const again = Index.open(first.path)
    const path = join(folder, 'again')
    const packs = again.packs().map((pack) => again.packTable(pack.key))
    const copy = writeIndex(again, {
      path,
      kind: 'layer',
      packs,
      extentsOf: (ino) => again.extents(ino).map((run) => ({ ...run, pack: run.pack - 1 })),
    })
    again.close()
    assert.equal(copy.digest, first.written.digest)
  })
})
