/**
 * Tests that reading a directory's names and inodes page by page gives the same as asking for each
 * name's inode.
 */
import assert from 'node:assert/strict'
import {
  type DirEntry,
  type LayerTree,
  ResolvedLayer,
  ROOT_INO,
  type Tree,
  packInputsOf,
} from '../../../index-format/index.js'
import { buildLayer } from '../layer/built-layer.js'
import { tarOf } from '../tar/tar-fixture.js'
import { EVERYTHING } from './everything-stack.js'
import { LayerStack } from './layer-stack.js'

/** More names than fit in one page. */
const MANY = 3000

/** Maps the inode number of each directory of a tree to its entries. */
function listings(tree: Tree): Map<number, DirEntry[]> {
  const found = new Map<number, DirEntry[]>()
  const left = [ROOT_INO]
  for (let ino = left.pop(); ino !== undefined; ino = left.pop()) {
    const entries = tree.readdir(ino, 0, 10_000)
    found.set(ino, entries)
    for (const entry of entries) if ((entry.mode & 0o170000) === 0o040000) left.push(entry.ino)
  }
  return found
}

/**
 * Compares `readdirPlus` with `readdir` and `inode` for every directory. Returns the number of
 * directories for which `tree` answers `readdirPlus`.
 */
function compare(tree: Tree, pageEntries: number): number {
  let whole = 0
  for (const [ino, entries] of listings(tree)) {
    const expected = entries.map((entry) => ({ ...entry, inode: tree.inode(entry.ino) }))
    const found: unknown[] = []
    for (let cookie = 0; ;) {
      const page = tree.readdirPlus?.(ino, cookie, pageEntries)
      if (page === undefined) break
      const last = page.at(-1)
      if (last === undefined) {
        assert.deepEqual(found, expected, `directory ${ino}`)
        whole++
        break
      }
      assert.ok(page.length <= pageEntries)
      found.push(...page)
      cookie = last.cookie
    }
  }
  return whole
}

/** The same tree without the methods that read whole pages. */
function plain(tree: Tree): Tree {
  return {
    inode: (ino) => tree.inode(ino),
    lookup: (parent, name) => tree.lookup(parent, name),
    readdir: (parent, cookie, limit) => tree.readdir(parent, cookie, limit),
    readlink: (ino) => tree.readlink(ino),
    xattrs: (ino) => tree.xattrs(ino),
    extents: (ino) => tree.extents(ino),
  }
}

function comparePacking(tree: LayerTree): number {
  const digestOf = (ino: number): ReturnType<LayerTree['contentDigest']> => tree.contentDigest(ino)
  const whole = [...packInputsOf(tree, () => assert.fail('the tree has the digests'))]
  assert.deepEqual(whole, [...packInputsOf(plain(tree), digestOf)])
  return whole.length
}

describe('whole pages of a tree', () => {
  let stack: LayerStack

  before(async () => {
    stack = await LayerStack.build(EVERYTHING.map((members) => tarOf(...members)))
  })
  after(() => {
    stack.close()
  })

  it('have the inodes of each layer, as it is and above the others', () => {
    const below: Tree[] = []
    for (const layer of stack.layers) {
      const resolved = ResolvedLayer.create(layer, below)
      below.push(resolved)
      assert.equal(compare(layer, 2), listings(layer).size)
      assert.equal(compare(resolved, 2), listings(resolved).size)
    }
  })

  it('have those of merged layers without whiteouts, where one layer has the directory', () => {
    const whole = compare(stack.tree, 2)
    assert.ok(whole > 0 && whole < listings(stack.tree).size)
  })

  it('have what packing wants to know, holes and hard links included', async () => {
    for (const layer of stack.layers) comparePacking(layer)
    const sparse = await buildLayer({
      path: 'sparse',
      body: 'aaaacc',
      pax: {
        'GNU.sparse.major': '0',
        'GNU.sparse.minor': '1',
        'GNU.sparse.size': '20',
        'GNU.sparse.map': '2,4,10,2',
      },
    })
    assert.equal(comparePacking(sparse.tree), 1)
    sparse.close()
  })

  it('go on after the last name of a page', async () => {
    const names = Array.from({ length: MANY }, (_, i) => String(i))
    const members = names.map((name) => ({ path: `d/${name}`, body: `content ${name}` }))
    const large = await buildLayer(...members)
    assert.equal(comparePacking(large.tree), MANY)
    assert.equal(compare(large.tree, 1024), 2)
    large.close()
  })
})
