import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import {
  checkIndex,
  type CheckOptions,
  digestOf,
  type FindingCode,
  Index,
  IndexFormatError,
  InlineCompressor,
  packFiles,
  packInputsOf,
  writeIndex,
  type WrittenIndex,
} from '../../../index-format/index.js'
import { MemoryTree } from '../index/memory-tree.js'
import { readAll } from '../index/read-all.js'
import { accessOf, MemoryStore } from '../pack/buffer-access.js'
import { Random } from '../pack/random.js'

const text = (content: string): Buffer => Buffer.from(content)

/**
 * Inode numbers in the index: 2 a, 3 b, 4 link, 5 a/large, 6 a/x, 7 b/again and b/twice, 8 b/c,
 * 9 b/sparse. Packs: 1.
 */
function exampleTree() {
  const spool: Buffer[] = []
  let spoolBytes = 0
  const digests = new Map<number, ReturnType<typeof digestOf>>()
  const run = (offset: number, content: Buffer) => {
    spool.push(content)
    spoolBytes += content.length
    return { offset, length: content.length, pack: 0, rawOffset: spoolBytes - content.length }
  }
  const tree = new MemoryTree()
  tree.directory('a')
  tree.directory('b', { xattrs: { 'user.note': 'value' } })
  tree.directory('b/c')
  tree.symlink('link', 'b/c')
  const large = new Random(1).bytes(700_000)
  digests.set(tree.file('a/large', large.length, [run(0, large)]), digestOf(large))
  digests.set(tree.file('a/x', 7, [run(0, text('content'))]), digestOf(text('content')))
  const sparse = [run(10, text('left')), run(900, text('right'))]
  digests.set(tree.file('b/sparse', 1000, sparse), digestOf(text('leftright')))
  const twice = tree.file('b/again', 4, [run(0, text('once'))])
  digests.set(twice, digestOf(text('once')))
  tree.link('b/twice', twice)
  return { tree, spool: accessOf(Buffer.concat(spool)), digests }
}

describe('checkIndex', () => {
  let folder: string
  let path: string
  let store: MemoryStore
  let written: WrittenIndex

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'check-'))
    path = join(folder, 'index')
    const { tree, spool, digests } = exampleTree()
    store = new MemoryStore()
    const packed = await packFiles({
      files: packInputsOf(tree, (ino) => digests.get(ino) ?? assert.fail(`inode ${ino}`)),
      spool,
      compressor: new InlineCompressor(),
      level: 3,
      openPack: () => store.openPack(),
    })
    const { packs } = packed
    written = writeIndex(tree, {
      path,
      kind: 'layer',
      packs,
      extentsOf: (ino) => packed.extentsOf(ino),
    })
  })
  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  const openPack: CheckOptions['openPack'] = (digest) => {
    const pack = store.packs.get(digest)
    return pack && accessOf(pack)
  }

  async function codes(options: CheckOptions = {}): Promise<FindingCode[]> {
    const found: FindingCode[] = []
    for await (const { code, where, detail } of checkIndex(path, options)) {
      assert.ok(where !== '' && detail !== '')
      found.push(code)
    }
    return found
  }

  function change(sql: string): void {
    const database = new Database(path)
    database.pragma('foreign_keys=OFF')
    database.exec(sql)
    database.close()
  }

  it('finds nothing in what a writer wrote', async () => {
    assert.deepEqual(await codes({ digest: written.digest, openPack }), [])
  })

  const changes: [FindingCode, string][] = [
    ['invalid-row', 'UPDATE inode SET mtime_nsec=1000000000 WHERE ino=5'],
    ['invalid-row', 'UPDATE inode SET uid=-1 WHERE ino=5'],
    ['invalid-row', 'UPDATE inode SET size=9223372036854775807 WHERE ino=5'],
    ['invalid-row', 'UPDATE inode SET mode=1 WHERE ino=5'],
    ['invalid-row', "UPDATE inode SET target=x'61' WHERE ino=4"],
    ['invalid-row', "UPDATE inode SET target=x'61' WHERE ino=5"],
    ['invalid-row', "UPDATE entry SET name=x'2e2e' WHERE ino=5"],
    ['invalid-row', "UPDATE entry SET name=x'612f62' WHERE ino=5"],
    ['invalid-row', "UPDATE xattr SET name=x''"],
    ['invalid-row', 'UPDATE inode SET raw_offset=-1 WHERE ino=6'],
    ['wrong-count', "UPDATE meta SET value=value+1 WHERE key='entries'"],
    ['wrong-count', "UPDATE meta SET value=0 WHERE key='xattrs'"],
    ['not-canonical', 'UPDATE inode SET ino=99 WHERE ino=6; UPDATE entry SET ino=99 WHERE ino=6'],
    ['not-canonical', 'UPDATE inode SET ino=4000000000 WHERE ino=6'],
    ['invalid-root', 'UPDATE inode SET mode=33188 WHERE ino=1'],
    ['invalid-root', 'DELETE FROM inode WHERE ino=1'],
    ['invalid-root', "INSERT INTO entry VALUES(8,x'61',1)"],
    ['dangling-entry', 'DELETE FROM inode WHERE ino=6'],
    ['orphan-entry', "INSERT INTO entry VALUES(77,x'61',6)"],
    ['orphan-entry', "INSERT INTO entry VALUES(6,x'61',6)"],
    ['linked-directory', "INSERT INTO entry VALUES(2,x'7a',8)"],
    ['directory-cycle', 'UPDATE entry SET parent=8 WHERE ino=3'],
    ['unreachable-inode', 'DELETE FROM entry WHERE ino=6'],
    ['unreachable-inode', 'DELETE FROM entry WHERE ino=3'],
    ['wrong-nlink', 'UPDATE inode SET nlink=3 WHERE ino=7'],
    ['wrong-nlink', 'UPDATE inode SET nlink=2 WHERE ino=3'],
    ['dangling-xattr', "INSERT INTO xattr VALUES(77,x'61',x'')"],
    ['dangling-extent', 'INSERT INTO extent VALUES(77,0,1,1,0)'],
    ['dangling-extent', 'INSERT INTO extent VALUES(3,0,1,1,0)'],
    ['dangling-extent', 'UPDATE inode SET pack=1,raw_offset=0 WHERE ino=3'],
    ['overlapping-extents', 'INSERT INTO extent VALUES(9,12,1,1,0)'],
    ['overlapping-extents', 'INSERT INTO extent VALUES(6,0,1,1,0)'],
    ['extent-outside-file', 'UPDATE extent SET offset=998 WHERE offset=900'],
    ['extent-outside-pack', 'UPDATE extent SET raw_offset=700018 WHERE offset=900'],
    ['unknown-pack', 'UPDATE extent SET pack=2 WHERE offset=900'],
    ['wrong-stored-bytes', 'DELETE FROM extent WHERE offset=900'],
    ['wrong-stored-bytes', 'UPDATE inode SET holes=0 WHERE ino=9'],
    ['unused-pack', 'INSERT INTO pack VALUES(2,zeroblob(32),100,10)'],
    ['duplicate-pack', 'INSERT INTO pack SELECT 2,digest,size,raw_size FROM pack'],
    ['dangling-frame', 'INSERT INTO frame VALUES(7,0,1,0,1,zeroblob(32))'],
    ['frame-gap', 'DELETE FROM frame WHERE raw_offset=0'],
    ['frame-gap', 'UPDATE frame SET offset=offset+1 WHERE raw_offset>0'],
    ['frame-gap', 'UPDATE pack SET raw_size=raw_size+1'],
    ['pack-size-mismatch', 'UPDATE pack SET size=size+1'],
    ['pack-table-mismatch', 'UPDATE frame SET digest=zeroblob(32) WHERE raw_offset=0'],
    ['missing-pack', 'UPDATE pack SET digest=zeroblob(32)'],
    ['unsupported-version', 'PRAGMA user_version=9'],
    ['unreadable-index', 'PRAGMA application_id=0'],
    ['unreadable-index', 'CREATE VIEW v AS SELECT 1'],
    ['unreadable-index', "INSERT INTO meta VALUES('later',1)"],
    ['unreadable-index', "DELETE FROM meta WHERE key='kind'"],
  ]
  for (const [code, sql] of changes) {
    it(`finds ${code} after ${sql}`, async () => {
      change(sql)
      const found = await codes({ openPack })
      assert.ok(found.includes(code), `found ${found.join(', ') || 'nothing'}`)
      // Reading the same file must succeed, or fail with an IndexFormatError.
      try {
        const index = Index.open(path)
        try {
          readAll(index)
        } finally {
          index.close()
        }
      } catch (cause) {
        if (!(cause instanceof IndexFormatError)) throw cause
        assert.ok(['invalid-index', 'unsupported-version'].includes(cause.code), cause.code)
      }
    })
  }

  it('takes an nlink of 1 for a merged directory, in a merged index only', async () => {
    change('UPDATE inode SET nlink=1 WHERE ino=3')
    assert.deepEqual(await codes(), ['wrong-nlink'])
    change("UPDATE meta SET value=1 WHERE key='kind'")
    assert.deepEqual(await codes(), [])
  })

  it('tells an index by its digest', async () => {
    assert.deepEqual(await codes({ digest: digestOf(text('another')) }), ['index-digest-mismatch'])
  })

  it('finds damaged pages and survives them', async () => {
    const bytes = readFileSync(path)
    bytes.fill(0xff, 4096 * 3, 4096 * 4)
    writeFileSync(path, bytes)
    const found = await codes()
    assert.ok(found.includes('damaged-page') || found.includes('unreadable-index'), found.join())
    writeFileSync(path, 'not a database at all, but long enough to be looked at'.repeat(20))
    assert.deepEqual(await codes(), ['unreadable-index'])
    writeFileSync(path, '')
    assert.deepEqual(await codes(), ['unreadable-index'])
  })

  const damages: [FindingCode, (pack: Buffer) => Buffer][] = [
    ['pack-digest-mismatch', (pack) => flipped(pack, 100)],
    ['frame-digest-mismatch', (pack) => flipped(pack, pack.length - 16 - 1)],
    ['invalid-frame', (pack) => flipped(pack, 0)],
    ['invalid-pack-table', (pack) => pack.subarray(0, pack.length - 1)],
    ['invalid-pack-table', (pack) => flipped(pack, pack.length - 1)],
    ['pack-table-mismatch', (pack) => flipped(pack, pack.length - 16 - 1)],
    ['pack-size-mismatch', (pack) => pack.subarray(1)],
  ]
  for (const [code, damage] of damages) {
    it(`finds ${code} in a damaged pack`, async () => {
      for (const [digest, pack] of store.packs) store.packs.set(digest, damage(Buffer.from(pack)))
      const found = await codes({ openPack })
      assert.ok(found.includes(code), `found ${found.join(', ') || 'nothing'}`)
    })
  }

  it('finds a pack that the store lacks', async () => {
    store.packs.clear()
    assert.deepEqual(await codes({ openPack }), ['missing-pack'])
  })
})

function flipped(bytes: Buffer, at: number): Buffer {
  bytes[at] = (bytes[at] ?? 0) ^ 1
  return bytes
}
