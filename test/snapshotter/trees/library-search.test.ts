import assert from 'node:assert/strict'
import { findIn, librariesOf } from '../../../snapshotter/trees/library-search.js'
import { SampleTree } from '../../fusefs/filesystem/sample-tree.js'

const FILE = 0o100644
const DIRECTORY = 0o040755

describe('librariesOf', () => {
  const tree = new SampleTree([
    { path: '', mode: DIRECTORY },
    ...['app', 'app/bin', 'app/libs', 'usr', 'usr/lib', 'usr/lib/x86_64-linux-gnu'].map((path) => ({
      path,
      mode: DIRECTORY,
    })),
    { path: 'app/libs/libown.so', mode: FILE, content: [Buffer.from('own')] },
    { path: 'app/libs/libc.so', mode: FILE, content: [Buffer.from('own')] },
    { path: 'usr/lib/x86_64-linux-gnu/libc.so', mode: FILE, content: [Buffer.from('c')] },
    { path: 'usr/lib/libdir.so', mode: DIRECTORY },
    { path: 'usr/lib/libloop.so', mode: 0o120777, target: 'libloop.so' },
  ])

  it('finds each in the first directory that has it, in the order of what is needed', () => {
    assert.deepEqual(found({ needed: ['libown.so', 'libc.so'], runPath: ['/app/libs'] }), [
      '/app/libs/libown.so',
      '/app/libs/libc.so',
    ])
    assert.deepEqual(found({ needed: ['libc.so'], runPath: ['/nowhere'] }), [
      '/usr/lib/x86_64-linux-gnu/libc.so',
    ])
  })

  it('takes $ORIGIN for the directory of the file, where that is known', () => {
    for (const origin of ['$ORIGIN/../libs', '${ORIGIN}/../libs']) {
      const needs = { needed: ['libown.so'], runPath: [origin] }
      assert.deepEqual(found(needs, '/app/bin/program'), ['/app/bin/../libs/libown.so'])
      assert.deepEqual(found(needs), [])
    }
  })

  it('leaves out what is not there, or no regular file', () => {
    const needed = ['libnone.so', 'libdir.so', 'libloop.so', '../../..', '/', '\0']
    assert.deepEqual(found({ needed, runPath: [] }), [])
  })

  it('takes a name with a slash for a path', () => {
    assert.equal(findIn(tree, '/app/libs/libown.so', ['/usr/lib'])?.path, '/app/libs/libown.so')
  })

  function found(
    needs: { needed: readonly string[]; runPath: readonly string[] },
    path?: string,
  ): string[] {
    return librariesOf(tree, needs, path).map((library) => library.path)
  }
})
