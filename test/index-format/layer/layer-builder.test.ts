/** Tests each rule by which the members of a layer become a tree. */
import assert from 'node:assert/strict'
import { digestOf, LayerBuilder, ROOT_INO } from '../../../index-format/index.js'
import { chunksOf, tarOf } from '../tar/tar-fixture.js'
import { buildLayer, dumpLayer } from './built-layer.js'

const OPAQUE = { 'trusted.overlay.opaque': '79', 'user.overlay.opaque': '79' }

describe('LayerBuilder', () => {
  it('makes files, directories, links, devices and fifos with their attributes', async () => {
    const dump = await dumpLayer(
      { path: 'd/', mode: 0o2750, uid: 1, gid: 2, mtime: 3 },
      { path: 'd/f', body: 'hello', mode: 0o4711, uid: 4, gid: 5, pax: { mtime: '6.000000007' } },
      { path: 'd/s', type: '2', link: 'f', mode: 0o600 },
      { path: 'd/h', type: '1', link: 'd/f', mode: 0o4711, uid: 4, gid: 5, mtime: 6 },
      { path: 'null', type: '3', mode: 0o666, devMajor: 1, devMinor: 3 },
      { path: 'disk', type: '4', devMajor: 259, devMinor: 1000 },
      { path: 'pipe', type: '6' },
    )
    assert.deepEqual(Object.keys(dump), ['.', 'd', 'd/f', 'd/h', 'd/s', 'disk', 'null', 'pipe'])
    assert.deepEqual(dump['d/f'], {
      mode: '104711',
      uid: 4,
      gid: 5,
      nlink: 2,
      sizeBytes: 5,
      rdev: 0,
      mtime: '6.000000000',
      target: '',
      xattrs: {},
      content: digestOf(Buffer.from('hello')).slice(7),
      sameAs: 'd/f',
    })
    assert.equal(dump['d/h']?.sameAs, 'd/f')
    assert.deepEqual(
      [dump['d']?.mode, dump['d']?.nlink, dump['d']?.mtime],
      ['42750', 2, '3.000000000'],
    )
    assert.deepEqual(
      [dump['d/s']?.mode, dump['d/s']?.target, dump['d/s']?.sizeBytes],
      ['120777', 'f', 1],
    )
    assert.equal(dump['null']?.rdev, 0x103)
    // The minor number 1000 is 0x3e8. Its low byte stays low; the rest goes above the major
    // number's twelve bits.
    assert.equal(dump['disk']?.rdev, 0xe8 | (259 << 8) | (0x300 << 12))
    assert.equal(dump['.']?.nlink, 3)
  })

  it('ignores what is said of the root', async () => {
    const dump = await dumpLayer(
      { path: './', mode: 0o700, uid: 9, mtime: 9, xattrs: { 'user.a': 'b' } },
      { path: '.wh..wh..opq' },
    )
    assert.deepEqual(Object.keys(dump), ['.'])
    assert.deepEqual(
      [dump['.']?.mode, dump['.']?.uid, dump['.']?.mtime],
      ['40755', 0, '0.000000000'],
    )
    assert.deepEqual(dump['.']?.xattrs, {})
  })

  it('turns whiteouts into devices 0:0 and opaque markers into attributes', async () => {
    const dump = await dumpLayer(
      { path: 'd/' },
      { path: 'd/.wh..wh..opq' },
      { path: 'd/.wh.gone', uid: 7 },
      { path: 'implied/.wh..wh..opq' },
      { path: '.wh..wh.aufs', body: 'x' },
      { path: '.wh..wh.plnk/' },
    )
    assert.deepEqual(Object.keys(dump), ['.', 'd', 'd/gone', 'implied'])
    assert.deepEqual(dump['d']?.xattrs, OPAQUE)
    assert.deepEqual(dump['implied']?.xattrs, OPAQUE)
    assert.deepEqual([dump['d/gone']?.mode, dump['d/gone']?.rdev], ['20000', 0])
  })

  it('lets a directory after its whiteout be a plain one', async () => {
    const dump = await dumpLayer({ path: '.wh.d' }, { path: 'd/', mode: 0o700 })
    assert.deepEqual([dump['d']?.mode, dump['d']?.xattrs], ['40700', {}])
  })

  it('makes directories that are only implied, and flags them until they are named', async () => {
    const layer = await buildLayer({ path: 'a/b/f' }, { path: 'a/', mode: 0o700 })
    try {
      const a = layer.tree.lookup(ROOT_INO, Buffer.from('a')) ?? -1
      const b = layer.tree.lookup(a, Buffer.from('b')) ?? -1
      assert.deepEqual([layer.tree.inode(a)?.implied, layer.tree.inode(a)?.mode], [false, 0o040700])
      assert.deepEqual([layer.tree.inode(b)?.implied, layer.tree.inode(b)?.mode], [true, 0o040755])
      assert.equal(layer.tree.inode(ROOT_INO)?.implied, true)
    } finally {
      layer.close()
    }
  })

  it('gives implied directories the group of a set-group-ID parent', async () => {
    const dump = await dumpLayer({ path: 'g/', mode: 0o2775, gid: 50 }, { path: 'g/i/f' })
    assert.deepEqual([dump['g/i']?.gid, dump['g/i']?.mode, dump['g/i/f']?.gid], [50, '40755', 0])
  })

  it('lets the last of two members with one name win, and merges directories', async () => {
    const dump = await dumpLayer(
      { path: 'f', body: 'first', xattrs: { 'user.a': '1' } },
      { path: 'f', body: 'second!' },
      { path: 'd/', mode: 0o700, xattrs: { 'user.a': '1', 'user.b': '1' } },
      { path: 'd/kept' },
      { path: 'd/', mode: 0o755, xattrs: { 'user.b': '2' } },
      { path: 'gone/x/y' },
      { path: 'gone', type: '2', link: 'd' },
    )
    assert.equal(dump['f']?.content, digestOf(Buffer.from('second!')).slice(7))
    assert.deepEqual(dump['f'].xattrs, {})
    assert.deepEqual(
      [dump['d']?.mode, dump['d']?.xattrs],
      ['40755', { 'user.a': '31', 'user.b': '32' }],
    )
    assert.deepEqual(Object.keys(dump), ['.', 'd', 'd/kept', 'f', 'gone'])
    assert.equal(dump['.']?.nlink, 3)
  })

  it('writes through the symlinks of the layer, which stay inside it', async () => {
    const dump = await dumpLayer(
      { path: 'usr/lib/' },
      { path: 'lib', type: '2', link: 'usr/lib' },
      { path: 'lib/a' },
      { path: 'abs', type: '2', link: '/lib' },
      { path: 'abs/b' },
      { path: 'usr/up', type: '2', link: '../../../../lib/deep' },
      { path: 'usr/up/c' },
    )
    assert.deepEqual(
      Object.keys(dump).filter((path) => path.startsWith('usr/lib/')),
      ['usr/lib/a', 'usr/lib/b', 'usr/lib/deep', 'usr/lib/deep/c'],
    )
  })

  it('cleans names by their text', async () => {
    const dump = await dumpLayer({ path: './/a/../b//./c' })
    assert.deepEqual(Object.keys(dump), ['.', 'b', 'b/c'])
  })

  it('links across directories, before the target, and through chains', async () => {
    const dump = await dumpLayer(
      { path: 'x/first', type: '1', link: 'y/second', mode: 0o777, uid: 3 },
      { path: 'y/second', type: '1', link: './z/third' },
      { path: 'z/third', body: '3', mode: 0o640 },
      { path: 'z/fourth', type: '1', link: 'z/third', mode: 0o600, uid: 8 },
    )
    for (const path of ['x/first', 'y/second', 'z/third', 'z/fourth']) {
      assert.deepEqual(
        [dump[path]?.nlink, dump[path]?.mode, dump[path]?.uid, dump[path]?.sameAs],
        [4, '100600', 8, 'x/first'],
      )
    }
  })

  it('lets a later member take the name of a link that waits for its target', async () => {
    const dump = await dumpLayer(
      { path: 'a', type: '1', link: 'nowhere' },
      { path: 'a', body: 'a file after all' },
      { path: 'd/b', type: '1', link: 'nowhere' },
      { path: '.wh.d' },
    )
    assert.deepEqual([dump['a']?.nlink, dump['a']?.sizeBytes, dump['d']?.mode], [1, 16, '20000'])
  })

  it('links to a symlink itself', async () => {
    const dump = await dumpLayer(
      { path: 's', type: '2', link: 't' },
      { path: 'h', type: '1', link: 's', mode: 0o644 },
    )
    assert.deepEqual([dump['h']?.mode, dump['h']?.sameAs, dump['h']?.nlink], ['120777', 'h', 2])
  })

  it('lets a hard link take capabilities that it does not repeat', async () => {
    const capability = Buffer.from('0000000200200000000000000000000000000000', 'hex')
    const xattrs = { 'security.capability': capability, 'user.kept': 'yes' }
    const dump = await dumpLayer(
      { path: 'a', xattrs },
      { path: 'b', type: '1', link: 'a' },
      { path: 'c', xattrs },
      { path: 'd', type: '1', link: 'c', xattrs: { 'security.capability': capability } },
    )
    assert.deepEqual(dump['a']?.xattrs, { 'user.kept': '796573' })
    assert.equal(dump['c']?.xattrs['security.capability'], capability.toString('hex'))
  })

  it('drops the attributes that containerd cannot set, and keeps empty ones', async () => {
    const xattrs = {
      'trusted.a': '1',
      plain: '1',
      'user.a': '',
      'security.selinux': 'l',
      'btrfs.x': '1',
    }
    const dump = await dumpLayer(
      { path: 'f', xattrs },
      { path: 's', type: '2', link: 'f', xattrs },
      { path: 'p', type: '6', xattrs },
    )
    assert.deepEqual(dump['f']?.xattrs, { 'security.selinux': '6c', 'user.a': '' })
    assert.deepEqual(dump['s']?.xattrs, { 'security.selinux': '6c' })
    assert.deepEqual(dump['p']?.xattrs, { 'security.selinux': '6c' })
  })

  it('cuts owners to 32 bits and replaces times that containerd cannot set', async () => {
    const dump = await dumpLayer(
      { path: 'high', uid: 2 ** 32 + 5, gid: -2, pax: { mtime: '9223372036.854775807' } },
      { path: 'later', pax: { mtime: '9223372036.854775808' } },
      { path: 'before', mtime: -1 },
      { path: 'none', uid: 2 ** 32 - 1 },
    )
    assert.deepEqual(
      [dump['high']?.uid, dump['high']?.gid, dump['high']?.mtime],
      [5, 2 ** 32 - 2, '9223372036.854775807'],
    )
    assert.equal(dump['later']?.mtime, '0.000000000')
    assert.equal(dump['before']?.mtime, '0.000000000')
    assert.equal(dump['none']?.uid, 0)
  })

  it('gives a directory member’s time to whatever bears its name at the end', async () => {
    const dump = await dumpLayer(
      { path: 'd/', mtime: 100 },
      { path: 'd', body: 'now a file', mtime: 200 },
      { path: 'e/', mtime: 300 },
      { path: 'e', type: '2', link: 'd', mtime: 400 },
    )
    assert.equal(dump['d']?.mtime, '300.000000000')
    assert.equal(dump['e']?.mtime, '400.000000000')
  })

  it('keeps names that are not UTF-8', async () => {
    const dump = await dumpLayer({ path: Buffer.from([0x64, 0x2f, 0xff, 0xfe]), body: 'x' })
    assert.deepEqual(Object.keys(dump), ['.', 'd', 'd/\xff\xfe'])
  })

  it('spools the runs of a sparse file and digests what it stores', async () => {
    const layer = await buildLayer(
      { path: 'before', body: 'bbb' },
      {
        path: 's',
        body: 'aaaacc',
        pax: { 'GNU.sparse.map': '1000,4,5000,2,9000,0', 'GNU.sparse.size': '9000' },
      },
    )
    try {
      const ino = layer.tree.lookup(ROOT_INO, Buffer.from('s')) ?? -1
      assert.deepEqual(layer.tree.extents(ino), [
        { offset: 1000, length: 4, pack: 0, rawOffset: 3 },
        { offset: 5000, length: 2, pack: 0, rawOffset: 7 },
      ])
      const inode = layer.tree.inode(ino)
      assert.deepEqual([inode?.sizeBytes, inode?.storedBytes], [9000, 6])
      assert.equal(layer.tree.contentDigest(ino), digestOf(Buffer.from('aaaacc')))
      assert.equal(layer.spool.toString(), 'bbbaaaacc')
    } finally {
      layer.close()
    }
  })

  it('passes on what the sink throws, and stops when it is told to', async () => {
    const full = new Error('no space left')
    const archive = tarOf({ path: 'f', body: 'x'.repeat(5000) }, { path: 'g', body: 'y' })
    for (const append of [
      (): void => {
        throw full
      },
      (): Promise<void> => Promise.reject(full),
    ]) {
      const builder = LayerBuilder.create({ sink: { append } })
      try {
        await assert.rejects(builder.addArchive(chunksOf(archive)), full)
      } finally {
        builder.close()
        builder.close()
      }
    }
    const controller = new AbortController()
    const builder = LayerBuilder.create({
      sink: {
        append(): void {
          controller.abort(full)
        },
      },
    })
    try {
      await assert.rejects(builder.addArchive(chunksOf(archive, 700), controller.signal), full)
      assert.ok(builder.spooledBytes < 5000)
      assert.equal(builder.members, 1)
    } finally {
      builder.close()
    }
  })

  it('rewrites an access control list by the mode, and drops one that says no more', async () => {
    const entry = (tag: string, perm: number, id = 'ffffffff'): string => `${tag}000${perm}00${id}`
    const list = (...entries: string[]): Buffer => Buffer.from(`02000000${entries.join('')}`, 'hex')
    const named = list(
      entry('01', 7),
      entry('02', 6, 'e8030000'),
      entry('04', 5),
      entry('10', 7),
      entry('20', 4),
    )
    const plain = list(entry('01', 7), entry('04', 5), entry('20', 0))
    const acl = 'system.posix_acl_access'
    const dump = await dumpLayer(
      { path: 'named', mode: 0o640, xattrs: { [acl]: named } },
      { path: 'plain', mode: 0o640, xattrs: { [acl]: plain } },
      { path: 'removed', mode: 0o640, xattrs: { [acl]: '' } },
      { path: 'future', mode: 0o640, xattrs: { [acl]: Buffer.from('03000000', 'hex') } },
      { path: 'link', type: '2', link: 'named', xattrs: { [acl]: named } },
    )
    // The mask gets the group bits of the mode. The entry of the owning group keeps its bits.
    const rewritten = list(
      entry('01', 6),
      entry('02', 6, 'e8030000'),
      entry('04', 5),
      entry('10', 4),
      entry('20', 0),
    )
    assert.equal(dump['named']?.xattrs[acl], rewritten.toString('hex'))
    for (const path of ['plain', 'removed', 'future', 'link']) {
      assert.deepEqual(dump[path]?.xattrs, {}, path)
    }
  })
})
