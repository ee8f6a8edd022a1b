import assert from 'node:assert/strict'
import type { Difference } from '../../../../snapshotter/inspect/verify/difference.js'
import { compareTrees } from '../../../../snapshotter/inspect/verify/compare-trees.js'
import { type FileSpec, MemoryTree } from './memory-tree.js'

type Files = Record<string, FileSpec>

const DIRECTORY = { mode: 0o040755 }
const CAPABILITY =
  '\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00'

const IMAGE: Files = {
  '': DIRECTORY,
  bin: DIRECTORY,
  'bin/ping': { mode: 0o104755, content: 'ping', xattrs: { 'security.capability': CAPABILITY } },
  'bin/sh': { mode: 0o120777, target: 'busybox' },
  dev: DIRECTORY,
  'dev/null': { mode: 0o020666, rdev: 0x103 },
  etc: DIRECTORY,
  'etc/a': { content: 'same file', nlink: 2, uid: 1, gid: 2, mtimeNsec: 7 },
  'etc/b': { link: 'etc/a' },
  'etc/caf\xe9': { content: 'not UTF-8' },
  'etc/empty': {},
  sparse: { sizeBytes: 100, chunks: [{ offset: 40, bytes: 'middle' }] },
  zz: { content: 'the last file of the tree' },
}

async function differencesOf(
  expected: MemoryTree,
  actual: MemoryTree,
  signal = new AbortController().signal,
): Promise<Difference[]> {
  const found: Difference[] = []
  const pairs = [{ name: 'tree', expected, actual }]
  for await (const difference of compareTrees(pairs, { signal })) found.push(difference)
  return found
}

function changed(path: string, spec: FileSpec): Files {
  return { ...IMAGE, [path]: { ...IMAGE[path], ...spec } }
}

function without(...paths: string[]): Files {
  return Object.fromEntries(Object.entries(IMAGE).filter(([path]) => !paths.includes(path)))
}

function shownOf({ path, ...rest }: Difference): Record<string, unknown> {
  return { path: Buffer.from(path).toString('latin1'), ...rest }
}

const PLANTED: [string, Files, Record<string, unknown>][] = [
  ['a missing file', without('zz'), { kind: 'missing', path: 'zz', expected: 'regular file' }],
  [
    'an extra directory, without what is in it',
    { ...IMAGE, opt: DIRECTORY, 'opt/x': {} },
    { kind: 'extra', path: 'opt', actual: 'directory' },
  ],
  [
    'an extra name that is not UTF-8',
    { ...IMAGE, '\xff': {} },
    { kind: 'extra', path: '\xff', actual: 'regular file' },
  ],
  [
    'another type',
    changed('etc/empty', { mode: 0o010644 }),
    { kind: 'type', path: 'etc/empty', expected: 'regular file', actual: 'fifo' },
  ],
  [
    'a lost setuid bit',
    changed('bin/ping', { mode: 0o100755 }),
    { kind: 'mode', path: 'bin/ping', expected: '4755', actual: '0755' },
  ],
  ['another mode of the root', changed('', { mode: 0o040700 }), { kind: 'mode', path: '' }],
  ['another owner', changed('etc/a', { uid: 0 }), { kind: 'uid', path: 'etc/a', expected: '1' }],
  ['another group', changed('etc/a', { gid: 0 }), { kind: 'gid', path: 'etc/a', expected: '2' }],
  ['another link count', changed('etc/a', { nlink: 1 }), { kind: 'nlink', path: 'etc/a' }],
  [
    'another size',
    changed('etc/empty', { sizeBytes: 9 }),
    { kind: 'size', path: 'etc/empty', expected: '0', actual: '9' },
  ],
  [
    'another device number',
    changed('dev/null', { rdev: 0x105 }),
    { kind: 'rdev', path: 'dev/null', expected: '1:3', actual: '1:5' },
  ],
  [
    'a time that lost its nanoseconds',
    changed('etc/a', { mtimeNsec: 0 }),
    { kind: 'mtime', expected: '1700000000.000000007', actual: '1700000000.000000000' },
  ],
  ['another second', changed('zz', { mtimeSec: 1 }), { kind: 'mtime', path: 'zz' }],
  [
    'another link target',
    changed('bin/sh', { target: 'busyb\xf8x' }),
    { kind: 'target', expected: '"busybox"', actual: '"busyb\\370x"' },
  ],
  [
    'a lost attribute',
    changed('bin/ping', { xattrs: {} }),
    { kind: 'xattr-missing', path: 'bin/ping', name: 'security.capability' },
  ],
  [
    'an attribute damaged in one byte',
    changed('bin/ping', { xattrs: { 'security.capability': CAPABILITY.replace('\x20', '\x21') } }),
    { kind: 'xattr-value', path: 'bin/ping', name: 'security.capability' },
  ],
  [
    'an extra attribute',
    changed('etc', { xattrs: { 'user.x': 'y' } }),
    { kind: 'xattr-extra', path: 'etc', name: 'user.x', actual: '0x79' },
  ],
  ['an implied directory', changed('dev', { implied: true }), { kind: 'implied', path: 'dev' }],
  [
    'a byte of content',
    changed('zz', { content: 'the last fiLe of the tree' }),
    { kind: 'content', path: 'zz', offset: 11, expected: '0x6c' },
  ],
  [
    'content where the original has a hole',
    changed('sparse', { chunks: [{ offset: 39, bytes: 'xmiddle' }] }),
    { kind: 'content', path: 'sparse', offset: 39, expected: '0x00' },
  ],
  [
    'a hole where the original has content',
    changed('sparse', { chunks: [{ offset: 42, bytes: 'ddle' }] }),
    { kind: 'content', path: 'sparse', offset: 40, expected: '0x6d' },
  ],
  [
    'a hard link that became a copy',
    { ...IMAGE, 'etc/b': { content: 'same file', nlink: 2, uid: 1, gid: 2, mtimeNsec: 7 } },
    {
      kind: 'hard-link',
      path: 'etc/b',
      expected: 'a link to /etc/a',
      actual: 'a file of its own',
    },
  ],
  [
    'a file that became a hard link',
    { ...without('etc/empty', 'etc/q'), 'etc/empty': {}, 'etc/q': { link: 'etc/empty' } },
    { kind: 'hard-link', path: 'etc/q', expected: 'a file of its own' },
  ],
]

describe('compareTrees', () => {
  it('finds nothing in a tree compared with itself, whatever the pieces', async () => {
    for (const pieceBytes of [1, 7, 4096]) {
      const actual = new MemoryTree(IMAGE)
      actual.pieceBytes = pieceBytes
      assert.deepEqual(await differencesOf(new MemoryTree(IMAGE), actual), [])
    }
  })

  it('takes a hole and stored zeros for equal', async () => {
    const stored = changed('sparse', {
      sizeBytes: 100,
      chunks: [{ offset: 0, bytes: `${'\0'.repeat(40)}middle${'\0'.repeat(54)}` }],
    })
    assert.deepEqual(await differencesOf(new MemoryTree(IMAGE), new MemoryTree(stored)), [])
    assert.deepEqual(await differencesOf(new MemoryTree(stored), new MemoryTree(IMAGE)), [])
  })

  for (const [what, files, wanted] of PLANTED) {
    it(`finds ${what}, and nothing else`, async () => {
      const original = files['etc/q'] === undefined ? IMAGE : { ...IMAGE, 'etc/q': {} }
      const found = await differencesOf(new MemoryTree(original), new MemoryTree(files))
      assert.equal(found.length, 1, JSON.stringify(found.map(shownOf)))
      assert.ok(found[0])
      assert.deepEqual(shownOf(found[0]), { ...shownOf(found[0]), ...wanted })
    })
  }

  it('names a piece that cannot be read and still compares the rest', async () => {
    const actual = new MemoryTree(changed('zz', { content: 'the last file of the treE' }))
    actual.failAt = 0
    const found = await differencesOf(new MemoryTree(IMAGE), actual)
    assert.deepEqual(
      found.map(({ kind, path }) => [kind, Buffer.from(path).toString()]),
      [
        ['content', 'zz'],
        ['unreadable', 'bin/ping'],
      ],
    )
    assert.match(found[1]?.actual ?? '', /^frame at 0 is damaged \(and 1 more/)
  })

  it('says so when a pack ends too early', async () => {
    const actual = new MemoryTree(IMAGE)
    actual.endAt = 30
    const found = await differencesOf(new MemoryTree(IMAGE), actual)
    assert.deepEqual(
      found.map(({ kind }) => kind),
      ['unreadable'],
    )
    assert.match(found[0]?.actual ?? '', /^pack 0 ended before/)
  })

  it('asks for each byte of a pack once', async () => {
    const actual = new MemoryTree(IMAGE)
    await differencesOf(new MemoryTree(IMAGE), actual)
    const total = actual.asked.reduce((sum, run) => sum + run.length, 0)
    assert.equal(total, actual.content().sizeBytes)
    assert.equal(actual.asked.length, 1)
  })

  it('reads a pack that two trees share once, and names the tree that is wrong', async () => {
    const first = new MemoryTree(IMAGE)
    const second = new MemoryTree(IMAGE)
    const changed = new MemoryTree({ ...IMAGE, zz: { content: 'the last file of the treE' } })
    const found: unknown[] = []
    const pairs = [
      { name: 'layer 0', expected: new MemoryTree(IMAGE), actual: first },
      { name: 'merged', expected: changed, actual: second },
    ]
    const { signal } = new AbortController()
    for await (const { kind, tree } of compareTrees(pairs, { signal })) found.push([kind, tree])
    assert.deepEqual(found, [['content', 'merged']])
    assert.equal(first.asked.length, 1)
    assert.equal(second.asked.length, 0)
  })

  it('reports every one of many differences, each with its own first offset', async () => {
    const original: Files = {}
    const thin: Files = {}
    for (let i = 0; i < 3000; i++) {
      const at = i % 5
      original[`f${i}`] = { content: 'aaaaa' }
      thin[`f${i}`] = { content: `${'a'.repeat(at)}b${'c'.repeat(4 - at)}`, uid: 1 }
    }
    const found = await differencesOf(new MemoryTree(original), new MemoryTree(thin))
    const content = found.filter(({ kind }) => kind === 'content')
    assert.equal(found.length, 6000)
    assert.equal(content.length, 3000)
    for (const { path, offset } of content) {
      assert.equal(offset, Number(Buffer.from(path).toString().slice(1)) % 5)
    }
  })

  it('stops when it is aborted', async () => {
    const controller = new AbortController()
    controller.abort(new Error('enough'))
    await assert.rejects(
      differencesOf(new MemoryTree(IMAGE), new MemoryTree(IMAGE), controller.signal),
      /enough/,
    )
  })
})
