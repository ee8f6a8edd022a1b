import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Index, pathOf, writeIndex } from '../../../../index-format/index.js'
import type { ClaimLibrary } from '../../../../snapshotter/node/starts/library-walk.js'
import { PluginDirectories } from '../../../../snapshotter/node/starts/plugin-directories.js'
import { fileAt } from '../../../../snapshotter/trees/library-search.js'
import { SampleTree } from '../../../fusefs/filesystem/sample-tree.js'

const MIB = 1024 * 1024
const FILE = 0o100644
const DIRECTORY = 0o040755
const SLOT = 7
const PLUGINS = '/opt/app/plugins'
const SHARED = '/usr/lib'
const NAMES = 'a b c d e f g h i j k l'.split(' ')

describe('PluginDirectories', () => {
  let folder: string
  let index: Index
  let plugins: PluginDirectories
  let claimed: Set<string>

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'plugin-directories-'))
    const file = (path: string, sizeBytes = 4096) => ({
      path: path.slice(1),
      mode: FILE,
      content: [{ hole: sizeBytes }],
    })
    const tree = new SampleTree([
      ...['', 'opt', 'opt/app', 'opt/app/plugins', 'opt/app/large', 'usr', 'usr/lib'].map(
        (path) => ({ path, mode: DIRECTORY }),
      ),
      ...['a.so', 'b.so', 'c.so.1.2', 'd.cpython-311.so'].map((name) => file(`${PLUGINS}/${name}`)),
      file(`${PLUGINS}/README`),
      file(`${PLUGINS}/x.so.conf`),
      file(`${PLUGINS}/huge.so`, 3 * MIB),
      { path: 'opt/app/plugins/link.so', mode: 0o120777, target: 'a.so' },
      { path: 'opt/app/plugins/more.so', mode: DIRECTORY },
      ...NAMES.map((name) => file(`/opt/app/large/${name}.so`, 2 * MIB)),
      ...['a.so', 'b.so', 'c.so'].map((name) => file(`${SHARED}/${name}`)),
    ])
    const path = join(folder, 'index')
    writeIndex(tree, { path, kind: 'layer', packs: [] })
    index = Index.open(path)
  })

  after(() => {
    index.close()
    rmSync(folder, { recursive: true })
  })

  beforeEach(() => {
    plugins = new PluginDirectories()
    claimed = new Set()
  })

  it('expects more of a directory once three of its libraries were waited for, next names first', () => {
    assert.deepEqual(waited(`${PLUGINS}/c.so.1.2`), [])
    assert.deepEqual(waited(`${PLUGINS}/a.so`), [])
    assert.deepEqual(waited(`${PLUGINS}/b.so`), ['d.cpython-311.so'])
    assert.deepEqual(waited(`${PLUGINS}/d.cpython-311.so`), [])
  })

  it('begins with those behind the last that was waited for', () => {
    for (const name of ['c', 'b']) assert.deepEqual(waited(`/opt/app/large/${name}.so`), [])
    const names = ['k.so', 'l.so', 'a.so', 'd.so', 'e.so', 'f.so']
    assert.deepEqual(waited('/opt/app/large/j.so'), names)
  })

  it('lets what it names grow with what was waited for', () => {
    const names = NAMES.slice(0, 8).map((name) => waited(`/opt/app/large/${name}.so`))
    assert.deepEqual(names.slice(0, 3), [[], [], ['d.so', 'e.so', 'f.so', 'g.so', 'h.so', 'i.so']])
    assert.deepEqual(names[3], ['j.so', 'k.so'])
    assert.deepEqual(names.flat().length, new Set(names.flat()).size)
  })

  it('tells directories, and trees, apart', () => {
    assert.deepEqual(waited(`${PLUGINS}/a.so`), [])
    assert.deepEqual(waited('/opt/app/large/a.so'), [])
    assert.deepEqual(waited(`${PLUGINS}/b.so`, SLOT + 1), [])
  })

  it('expects nothing of the directories that all programs have their libraries in', () => {
    for (const name of ['a.so', 'b.so', 'c.so']) assert.deepEqual(waited(`${SHARED}/${name}`), [])
  })

  /**
   * Reports that a program waited for the library at `path`. Returns the names of the libraries
   * that are expected next.
   */
  function waited(path: string, slot = SLOT): string[] {
    const ino = fileAt(index, path)?.ino
    assert.ok(ino !== undefined, path)
    const claim: ClaimLibrary = (other) => {
      const key = `${slot} ${other}`
      if (claimed.has(key)) return false
      claimed.add(key)
      return true
    }
    claim(ino)
    return plugins.waited({ slot, ino, path }, { index, claim }).map((plugin) => {
      assert.equal(pathOf(index, plugin.inode.ino), plugin.path)
      return plugin.path?.split('/').at(-1) ?? ''
    })
  }
})
