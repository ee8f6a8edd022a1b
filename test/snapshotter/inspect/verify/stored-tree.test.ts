import assert from 'node:assert/strict'
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import {
  type BlobSource,
  createContentStats,
  FusefsError,
  sourceFromUrl,
} from '../../../../fusefs/index.js'
import { Index } from '../../../../index-format/index.js'
import { compareTrees } from '../../../../snapshotter/inspect/verify/compare-trees.js'
import {
  type Difference,
  textFromDifference,
} from '../../../../snapshotter/inspect/verify/difference.js'
import { StoredTree } from '../../../../snapshotter/inspect/verify/stored-tree.js'
import { accessOf } from '../../../index-format/pack/buffer-access.js'
import { blobFile, publishTree, type PublishedTree } from '../published-tree.js'
import { SAMPLE_LAYER } from '../sample-layer.js'

const silent = (): void => undefined
const log = { error: silent, warn: silent, info: silent, debug: silent }

/**
 * Each: name of a change, SQL statement that makes it, and the report that the comparison must
 * give.
 */
const PLANTED: [string, string, RegExp][] = [
  [
    'a mode',
    `UPDATE inode SET mode=mode & ~2048 WHERE mode=33261|2048`,
    /^mode: tree \/bin\/su: expected 4755, found 0755$/,
  ],
  ['an owner', `UPDATE inode SET uid=0 WHERE uid=1000`, /^uid: tree \/etc\/hard-a: expected 1000/],
  ['a group', `UPDATE inode SET gid=0 WHERE gid=1001`, /^gid: tree \/etc\/hard-a: expected 1001/],
  [
    'a link count',
    `UPDATE inode SET nlink=1 WHERE uid=1000`,
    /^nlink: tree \/etc\/hard-a: expected 2, found 1$/,
  ],
  [
    'a device number',
    `UPDATE inode SET rdev=rdev+1 WHERE mode & 61440=24576`,
    /^rdev: tree \/dev\/sda: expected 8:300, found 8:301$/,
  ],
  [
    'a nanosecond',
    `UPDATE inode SET mtime_nsec=0 WHERE mtime_nsec>0`,
    /^mtime: tree \/etc\/late: expected 1700000000.123456789, found 1700000000.000000000$/,
  ],
  [
    'a capability',
    `UPDATE xattr SET value=x'00' WHERE name=CAST('security.capability' AS BLOB)`,
    /^xattr-value: tree \/bin\/ping security.capability: expected 0x01000002/,
  ],
  [
    'a lost attribute',
    `DELETE FROM xattr WHERE name=CAST('user.note' AS BLOB)`,
    /^xattr-missing: tree \/tmp user.note: expected 0x737469636b79, found nothing$/,
  ],
  [
    'a target',
    `UPDATE inode SET target=CAST('/bin/sU' AS BLOB) WHERE target=CAST('/bin/su' AS BLOB)`,
    /^target: tree \/etc\/absolute: expected "\/bin\/su", found "\/bin\/sU"$/,
  ],
  [
    'a lost name',
    `DELETE FROM entry WHERE name=CAST('su' AS BLOB)`,
    /^missing: tree \/bin\/su: expected regular file, found nothing$/,
  ],
  [
    'a type',
    `UPDATE inode SET mode=(mode & 4095) | 4096 WHERE mode & 61440=8192 AND rdev>0`,
    /^type: tree \/dev\/null: expected character device, found fifo$/,
  ],
  [
    'a renamed file',
    `UPDATE entry SET name=CAST('emptY' AS BLOB) WHERE name=CAST('empty' AS BLOB)`,
    /^extra: tree \/etc\/emptY: expected nothing, found regular file\nmissing: tree \/etc\/empty: /,
  ],
]

describe('StoredTree', () => {
  let folder: string
  let published: PublishedTree
  let source: BlobSource

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-stored-'))
    published = await publishTree(folder, SAMPLE_LAYER)
    source = sourceFromUrl({ url: published.storeUrl }, { log, stats: createContentStats() })
  })

  after(async () => {
    published.layer.close()
    await source.close()
    rmSync(folder, { recursive: true })
  })

  async function differences(indexPath: string, from = source): Promise<Difference[]> {
    const index = Index.open(indexPath)
    const { spool, tree } = published.layer
    const expected = { tree, content: () => accessOf(spool) }
    const pairs = [{ name: 'tree', expected, actual: new StoredTree({ index, source: from }) }]
    const found: Difference[] = []
    try {
      const { signal } = new AbortController()
      for await (const difference of compareTrees(pairs, { signal })) found.push(difference)
      return found
    } finally {
      index.close()
    }
  }

  /** Calls `damage`, which changes a blob of the store. Then calls `use` and restores the blob. */
  async function withDamage(
    path: string,
    damage: () => void,
    use: () => Promise<void>,
  ): Promise<void> {
    const before = readFileSync(path)
    try {
      damage()
      await use()
    } finally {
      writeFileSync(path, before)
    }
  }

  it('equals the layer it was made of', async () => {
    assert.deepEqual((await differences(published.indexPath)).map(textFromDifference), [])
  })

  for (const [what, statement, expected] of PLANTED) {
    it(`differs by ${what} when the index does`, async () => {
      const edited = join(folder, 'edited')
      copyFileSync(published.indexPath, edited)
      const database = new Database(edited)
      const { changes } = database.prepare(statement).run()
      database.close()
      assert.equal(changes, 1)
      const found = (await differences(edited)).map(textFromDifference)
      rmSync(edited)
      assert.match(found.join('\n'), expected)
      assert.equal(
        found.length,
        expected.source.includes('missing: tree') && what === 'a renamed file' ? 2 : 1,
      )
    })
  }

  it('names pack, frame and file when a byte of a pack is flipped', async () => {
    const [pack] = published.packs
    assert.ok(pack)
    const path = blobFile(folder, pack)
    const flip = (): void => {
      const bytes = readFileSync(path)
      bytes[2000] = (bytes[2000] ?? 0) ^ 1
      writeFileSync(path, bytes)
    }
    await withDamage(path, flip, async () => {
      const [found, ...rest] = await differences(published.indexPath)
      assert.deepEqual(rest, [])
      assert.equal(found?.kind, 'unreadable')
      assert.match(found.actual, new RegExp(`^frame \\d+ of pack ${pack}: `))
      assert.notEqual(found.path.length, 0)
    })
  })

  it('names every frame of a pack that the store lacks', async () => {
    const [pack] = published.packs
    assert.ok(pack)
    const path = blobFile(folder, pack)
    await withDamage(
      path,
      () => {
        rmSync(path)
      },
      async () => {
        const found = await differences(published.indexPath)
        assert.ok(found.length > 0)
        for (const { actual, kind } of found) {
          assert.equal(kind, 'unreadable')
          assert.match(actual, new RegExp(`^frame \\d+ of pack ${pack} from file:`))
        }
      },
    )
  })

  it('compares what there is of a pack that was cut', async () => {
    const [pack] = published.packs
    assert.ok(pack)
    const path = blobFile(folder, pack)
    const cut = (): void => {
      truncateSync(path, 1_500_000)
    }
    await withDamage(path, cut, async () => {
      const found = await differences(published.indexPath)
      const kinds = new Set(found.map(({ kind }) => kind))
      assert.deepEqual([...kinds], ['unreadable'])
      assert.doesNotMatch(found.map(({ actual }) => actual).join(), /frame 0 /)
    })
  })

  it('does not take an unreachable store for a difference', async () => {
    const failing: BlobSource = {
      name: 'store that is down',
      origin: 'nowhere',

      async *stream() {
        await Promise.resolve()
        throw new FusefsError('fetch-failed', 'connection refused')
      },
      distrust: () => false,
      close: () => Promise.resolve(),
    }
    await assert.rejects(differences(published.indexPath, failing), { code: 'fetch-failed' })
  })
})
