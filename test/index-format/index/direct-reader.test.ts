/**
 * Tests that the DirectReader reads the same from an index's pages as SQLite, and as the original
 * tree.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database, { type Database as Connection } from 'better-sqlite3'
import { ROOT_INO, writeIndex } from '../../../index-format/index.js'
import { DirectReader } from '../../../index-format/index/pages/direct-reader.js'
import { UnreadablePage } from '../../../index-format/index/pages/unreadable-page.js'
import { PageCache } from '../../../index-format/index/pages/page-cache.js'
import { type Member, SampleTree } from '../../fusefs/filesystem/sample-tree.js'

const PAGE_BYTES = 4096

describe('DirectReader', () => {
  let folder: string
  let path: string
  let tree: SampleTree
  let connection: Connection
  let reader: DirectReader

  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'thin-direct-'))
    path = join(folder, 'index')
    tree = new SampleTree(manyMembers())
    writeIndex(tree, { path, kind: 'layer', packs: [tree.pack.table] })
    connection = new Database(path, { readonly: true })
    reader = readerOf(path, 512)
  })

  after(() => {
    reader.close()
    connection.close()
    rmSync(folder, { recursive: true })
  })

  it('gives every inode, and none that is not there', () => {
    const inodes = count()
    for (let ino = 1; ino <= inodes; ino++) {
      assert.deepEqual(reader.inode(ino), tree.inode(ino))
    }
    assert.equal(reader.inode(inodes + 1), undefined)
    assert.equal(reader.inode(0), undefined)
    assert.equal(reader.inode(2 ** 32), undefined)
  })

  it('lists every directory as it is, whatever the batches are', () => {
    for (const limit of [1, 3, 100, 10_000]) {
      for (const parent of directories()) {
        const names: string[] = []
        for (let cookie = 0; ;) {
          const batch = reader.readdirPlus(parent, cookie, limit)
          for (const { name, ino, inode, cookie: at } of batch) {
            assert.equal(at, names.length + 1)
            assert.equal(inode.ino, ino)
            names.push(`${Buffer.from(name).toString('hex')} ${ino}`)
          }
          if (batch.length < limit) break
          cookie = names.length
        }
        const expected = tree.readdir(parent, 0, 10_000)
        assert.deepEqual(
          names,
          expected.map(({ name, ino }) => `${Buffer.from(name).toString('hex')} ${ino}`),
        )
      }
    }
  })

  it('goes on in a listing from any entry, in any order', () => {
    const [parent] = directories().toSorted((a, b) => lengthOf(b) - lengthOf(a))
    assert.ok(parent !== undefined)
    const all = tree.readdir(parent, 0, 10_000)
    for (const cookie of [4999, 0, 1, 2500, 2501, 17, all.length - 1, all.length, all.length + 9]) {
      assert.deepEqual(
        reader.readdirPlus(parent, cookie, 7).map(({ ino }) => ino),
        all.slice(cookie, cookie + 7).map(({ ino }) => ino),
      )
    }
  })

  it('finds every name, and nothing beside it', () => {
    for (const parent of directories()) {
      for (const { name, ino } of tree.readdir(parent, 0, 10_000)) {
        assert.equal(reader.lookup(parent, name), ino)
        assert.equal(reader.lookupInode(parent, name)?.ino, ino)
        assert.equal(reader.lookup(parent, Buffer.concat([name, Buffer.from('~')])), undefined)
      }
      assert.equal(reader.lookup(parent, Buffer.from([1])), undefined)
      assert.equal(reader.lookup(parent, Buffer.from([0xff, 0xff])), undefined)
    }
    assert.equal(reader.lookup(count() + 1, Buffer.from('a')), undefined)
  })

  it('answers the same with hardly any pages kept', () => {
    const small = readerOf(path, 1)
    for (const parent of directories()) {
      assert.deepEqual(small.readdirPlus(parent, 2, 50), reader.readdirPlus(parent, 2, 50))
    }
    small.close()
  })

  it('leaves a page that leads back to itself, or is none, to SQLite', () => {
    const roots = connection
      .prepare<[], { rootpage: number }>(
        "SELECT rootpage FROM sqlite_schema WHERE name IN('entry','inode')",
      )
      .all()
    const good = readFileSync(path)
    const damages: ((page: Buffer, number: number) => void)[] = [
      (page, number) => {
        // Make the page its own right child, and the child of each of its cells.
        page.writeUInt32BE(number, 8)
        for (let cell = 0; cell < page.readUInt16BE(3); cell++) {
          page.writeUInt32BE(number, page.readUInt16BE(12 + 2 * cell))
        }
      },
      (page) => page.fill(0),
      (page) => page.fill(0xff),
      (page) => page.writeUInt16BE(0xffff, 3),
      (page) => page.fill(0xff, 12, 200),
    ]
    const damagedPath = join(folder, 'damaged')
    for (const damage of damages) {
      const bytes = Buffer.from(good)
      for (const { rootpage } of roots) {
        const at = (rootpage - 1) * PAGE_BYTES
        damage(bytes.subarray(at, at + PAGE_BYTES), rootpage)
      }
      writeFileSync(damagedPath, bytes)
      const damaged = readerOf(damagedPath, 8)
      assert.throws(() => damaged.inode(5), UnreadablePage)
      assert.throws(() => damaged.lookup(ROOT_INO, Buffer.from('nothing')), UnreadablePage)
      assert.throws(() => damaged.readdirPlus(ROOT_INO, 0, 10_000), UnreadablePage)
      damaged.close()
    }
  })

  it('gives the same answers from memory that is used again and again', () => {
    const expected = readerOf(path, 1000)
    const pages = new PageCache({ maxPages: 4, recycles: true })
    const recycling = readerOf(path, pages)
    for (const parent of directories()) {
      for (let cookie = 0; ; cookie += 50) {
        pages.recycle()
        const listing = recycling.readdirPlus(parent, cookie, 50)
        assert.deepEqual(listing, expected.readdirPlus(parent, cookie, 50))
        pages.recycle()
        // Reads other pages of the file, so that the pages of the listing are dropped and
        // overwritten.
        for (let ino = 1; ino <= count(); ino += 500) {
          pages.recycle()
          assert.deepEqual(recycling.inode(ino), expected.inode(ino))
        }
        if (listing.length < 50) break
      }
    }
    recycling.close()
    expected.close()
  })

  it('leaves what it has answered as it is until memory is recycled', () => {
    const pages = new PageCache({ maxPages: 1, recycles: true })
    const reader = readerOf(path, pages)
    const [largest = ROOT_INO] = directories().sort((a, b) => lengthOf(b) - lengthOf(a))
    const listing = reader.readdirPlus(largest, 0, 10_000)
    const names = listing.map(({ name }) => Buffer.from(name).toString('latin1'))
    for (const parent of directories()) reader.readdirPlus(parent, 0, 10_000)
    assert.deepEqual(
      listing.map(({ name }) => Buffer.from(name).toString('latin1')),
      names,
    )
    reader.close()
  })

  function readerOf(file: string, cache: number | PageCache): DirectReader {
    const pages = typeof cache === 'number' ? new PageCache({ maxPages: cache }) : cache
    const found = DirectReader.open(file, connection, pages)
    assert.ok(found)
    return found
  }

  function count(): number {
    const row = connection.prepare<[], { n: number }>('SELECT count(*) AS n FROM inode').get()
    return row?.n ?? 0
  }

  function directories(): number[] {
    return connection
      .prepare<[], { ino: number }>('SELECT ino FROM inode WHERE (mode & 61440) = 16384')
      .all()
      .map(({ ino }) => ino)
  }

  function lengthOf(parent: number): number {
    return tree.readdir(parent, 0, 10_000).length
  }
})

/**
 * Members of directories with 0 to 5,000 entries, so that listings begin and end at many different
 * places in leaf pages and interior pages.
 */
function manyMembers(): Member[] {
  const members: Member[] = [{ path: '', mode: 0o40755 }]
  const content = [Buffer.from('content')]
  for (const [at, size] of [0, 1, 2, 5, 70, 80, 90, 100, 333, 1000, 5000].entries()) {
    const directory = `d${at}`
    members.push({ path: directory, mode: 0o40700, uid: at, mtime: [2 ** 33, 999_999_999] })
    for (let i = 0; i < size; i++) {
      const name = `${directory}/${'n'.repeat((i * 7) % 40)}\xff${i}`
      members.push({ path: name, mode: 0o100644, uid: 2 ** 32 - 2, mtime: [i, i], content })
    }
  }
  const long = 'd1/' + 'x'.repeat(255)
  members.push({ path: long, mode: 0o120777, target: 't'.repeat(4095) })
  members.push({ path: 'd1/device', mode: 0o020600, rdev: 2 ** 31 + 7 })
  members.push({ path: 'd2/again', mode: 0o100644, linkTo: 'd1/\xff0' })
  return members
}
