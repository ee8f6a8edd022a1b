/** Tests `placeOf`, which finds a name of an inode number, against a walk of the whole tree. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Index, ROOT_INO, writeIndex } from '../../../index-format/index.js'
import { MemoryTree } from './memory-tree.js'

const DIRECTORIES = 60

describe('placeOf', () => {
  let folder: string

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'place-of-'))
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  it('says of every file and directory where its first name is', () => {
    const tree = new MemoryTree()
    for (let at = 0; at < DIRECTORIES; at++) {
      // Some directories are nested, some are empty, some have several files.
      const path = at % 3 === 0 ? `d${at}` : `d${at - (at % 3)}/d${at}`
      tree.directory(path)
      for (let file = 0; file < at % 7; file++) tree.file(`${path}/f${file}`, 0, [])
    }
    const index = write(tree)
    let count = 0
    for (const { parent, name, ino } of walk(index)) {
      assert.deepEqual(index.placeOf(ino), { parent, name: Buffer.from(name) })
      count++
    }
    assert.ok(count > DIRECTORIES * 3)
    index.close()
  })

  it('finds one of several names, or none, but never a wrong one', () => {
    const tree = new MemoryTree()
    const linked: number[] = []
    for (let at = 0; at < DIRECTORIES; at++) {
      tree.directory(`d${at}`)
      const known = linked[at % 5]
      // A hard link that is the first name of its directory, to a file of an earlier directory.
      if (known !== undefined && at % 10 === 0) tree.link(`d${at}/a`, known)
      linked.push(tree.file(`d${at}/b`, 0, []))
      tree.file(`d${at}/c`, 0, [])
    }
    const index = write(tree)
    const inos = new Set([...walk(index)].map(({ ino }) => ino))
    const places = [...inos].flatMap((ino) => {
      const place = index.placeOf(ino)
      return place === undefined ? [] : [{ ino, place }]
    })
    for (const { ino, place } of places) {
      assert.equal(index.lookup(place.parent, place.name), ino)
    }
    assert.ok(places.length > inos.size / 2, `${places.length} of ${inos.size}`)
    index.close()
  })

  it('knows no place of the root, nor of what is not there', () => {
    const tree = new MemoryTree()
    tree.file('only', 0, [])
    const index = write(tree)
    for (const ino of [ROOT_INO, 0, 3, 4_000_000]) assert.equal(index.placeOf(ino), undefined)
    index.close()
  })

  function write(tree: MemoryTree): Index {
    const path = join(folder, 'index')
    writeIndex(tree, { path, kind: 'layer', packs: [] })
    return Index.open(path)
  }
})

function* walk(index: Index): Generator<{ parent: number; name: Uint8Array; ino: number }> {
  const directories = [ROOT_INO]
  for (const parent of directories) {
    for (const { ino, name, mode } of index.readdir(parent, 0, 10_000)) {
      yield { parent, name, ino }
      if ((mode & 0o170000) === 0o040000) directories.push(ino)
    }
  }
}
