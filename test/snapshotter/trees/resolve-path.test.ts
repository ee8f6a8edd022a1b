import assert from 'node:assert/strict'
import { resolvePath } from '../../../snapshotter/trees/resolve-path.js'
import { type FileSpec, MemoryTree } from '../inspect/verify/memory-tree.js'

const DIRECTORY = { mode: 0o040755 }
const link = (target: string): FileSpec => ({ mode: 0o120777, target })

describe('resolvePath', () => {
  const tree = new MemoryTree({
    '': DIRECTORY,
    a: DIRECTORY,
    'a/b': DIRECTORY,
    'a/b/file': { content: 'x' },
    'a/up': link('../a/b'),
    'a/root': link('/a'),
    'a/chain': link('root/up/file'),
    'a/dangling': link('nowhere'),
    'a/escape': link('../../../../a/b/file'),
    'a/loop': link('./loop'),
    '\xff': DIRECTORY,
    '\xff/x': { content: 'y' },
  })
  const inoOf = (path: string, followLast = true): number =>
    resolvePath(tree, Buffer.from(path, 'latin1'), { followLast }).ino
  const file = inoOf('a/b/file')

  for (const path of [
    '/a/b/file',
    '//a//./b/../b/file',
    '/../../a/b/file',
    '/a/up/file',
    '/a/root/root/b/file',
    '/a/chain',
    '/a/escape',
    'a/up/../b/file',
  ]) {
    it(`finds the file as ${path}`, () => {
      assert.equal(inoOf(path), file)
    })
  }

  it('goes up from where a link led, not from where the link is', () => {
    assert.equal(inoOf('/a/up/..'), inoOf('/a'))
    assert.equal(inoOf('/a/root/..'), 1)
  })

  it('finds the root', () => {
    for (const path of ['', '/', '.', '..', '/a/..']) assert.equal(inoOf(path), 1)
  })

  it('takes names as bytes', () => {
    assert.notEqual(inoOf('/\xff/x'), 1)
  })

  it('follows the last link only where it is asked to', () => {
    assert.equal((tree.inode(inoOf('/a/up', false))?.mode ?? 0) & 0o170000, 0o120000)
    assert.equal(inoOf('/a/up/', false), inoOf('/a/b'))
    assert.throws(() => inoOf('/a/dangling'), { code: 'not-found' })
    assert.ok(inoOf('/a/dangling', false) > 1)
  })

  it('refuses loops, ways through files, and paths that are too long', () => {
    assert.throws(() => inoOf('/a/loop'), {
      code: 'invalid-argument',
      message: /40 symbolic links/,
    })
    assert.throws(() => inoOf('/a/b/file/x'), { code: 'invalid-argument' })
    assert.throws(() => inoOf('/a/b/file/'), { code: 'invalid-argument' })
    assert.throws(() => inoOf(`/${'a/'.repeat(3000)}`), { code: 'invalid-argument' })
    assert.throws(() => inoOf('/nowhere'), { code: 'not-found' })
  })
})
