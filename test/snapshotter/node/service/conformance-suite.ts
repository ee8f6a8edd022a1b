/**
 * What containerd requires of every snapshotter: the checks of its own suite, made through the
 * socket and with real mounts. Each test gets a new snapshotter.
 */
import assert from 'node:assert/strict'
import { chmod, chown, link, mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { nsFromTimestamp, type SnapshotInfo } from '../../../../proto/index.js'
import { runProgram } from '../../../sandbox/program.js'
import { compareTrees } from '../../../sandbox/tree-comparison.js'
import { withMounts } from '../../../sandbox/snapshot-mounts.js'
import type { SnapshotsClient } from './snapshots-client.js'

/** A running snapshotter that only this test uses. */
export interface Subject {
  readonly client: SnapshotsClient
  /** An empty directory for the test's own files. */
  readonly work: string
  destroy(): Promise<void>
}

/** Changes a directory the way one layer does. */
type Change = (root: string) => Promise<void>

export function snapshotterSuite(name: string, start: () => Promise<Subject>): void {
  describe(name, () => {
    let subject: Subject
    let client: SnapshotsClient
    let sequence = 0

    beforeEach(async () => {
      subject = await start()
      client = subject.client
    })
    afterEach(async () => {
      await subject.destroy()
    })

    /**
     * Applies `change` to a snapshot of `parent` and commits it. Returns the committed snapshot's
     * key.
     */
    async function layer(parent: string, change: Change): Promise<string> {
      const key = `layer-${++sequence}`
      const mounts = await client.prepare(`${key}-active`, parent)
      await withMounts(mounts, subject.work, change)
      await client.commit(key, `${key}-active`)
      return key
    }

    /**
     * Commits each change as a layer, and compares a view of it with a plain directory to which the
     * same changes were applied.
     */
    async function checkLayers(...changes: readonly Change[]): Promise<void> {
      const flat = await mkdtemp(join(subject.work, 'flat-'))
      await chmod(flat, 0o755)
      let parent = ''
      for (const change of changes) {
        parent = await layer(parent, change)
        await change(flat)
        const view = `${parent}-view`
        await withMounts(await client.view(view, parent), subject.work, (directory) =>
          assertSameContent(flat, directory),
        )
        await client.remove(view)
      }
    }

    it('keeps what was written, layer upon layer', async () => {
      const first: Change = async (root) => {
        await file(root, 'foo', 'foo\n', 0o777)
        await directory(root, 'a', 0o755)
        await directory(root, 'a/b', 0o755)
        await directory(root, 'a/b/c', 0o755)
      }
      const second: Change = async (root) => {
        await file(root, 'bar', 'bar\n', 0o777)
        await file(root, 'foo', 'bar\n', 0o777)
        await rm(join(root, 'a/b'), { recursive: true })
      }
      await checkLayers(first, second)
      const [lower, upper] = ['layer-1', 'layer-2']
      assert.equal((await client.stat(lower)).parent, '')
      assert.equal((await client.stat(upper)).parent, lower)
      assert.equal((await client.stat(upper)).kind, 'COMMITTED')
      await assert.rejects(client.stat(`${upper}-active`), { code: status.NOT_FOUND })
      const listed = new Map((await client.listAll()).map((info) => [info.name, info]))
      for (const key of [lower, upper]) assert.deepEqual(listed.get(key), await client.stat(key))
      await assert.rejects(client.remove(lower), {
        code: status.FAILED_PRECONDITION,
        details: /remove/,
      })
      await client.remove(upper)
      await client.remove(lower)
    })

    it('tells an active snapshot', async () => {
      await client.prepare('active')
      const { name: key, kind, parent } = await client.stat('active')
      assert.deepEqual({ key, kind, parent }, { key: 'active', kind: 'ACTIVE', parent: '' })
    })

    it('tells a committed snapshot', async () => {
      await client.prepare('active')
      await client.commit('committed', 'active')
      const { name: key, kind, parent } = await client.stat('committed')
      assert.deepEqual({ key, kind, parent }, { key: 'committed', kind: 'COMMITTED', parent: '' })
    })

    it('leads from a snapshot to its parent and on', async () => {
      const a = await layer('', (root) => file(root, 'foo', 'foo\n', 0o644))
      const b = await layer(a, (root) => file(root, 'foo', 'foo bar\n', 0o644))
      assert.equal((await client.stat(b)).parent, a)
      assert.equal((await client.stat((await client.stat(b)).parent)).parent, '')
    })

    it('refuses a key that is in use', async () => {
      const parent = await layer('', () => Promise.resolve())
      const inUse = { code: status.ALREADY_EXISTS }
      await client.prepare('one', parent)
      await assert.rejects(client.view('one', parent), inUse)
      await assert.rejects(client.prepare('one', parent), inUse)
      await client.view('two', parent)
      await assert.rejects(client.view('two', parent), inUse)
      await assert.rejects(client.prepare(parent), inUse)
    })

    it('updates labels and nothing else, and says when', async () => {
      const before = await nowNs()
      await namedSnapshots(client, '')
      await client.prepare('a2')
      await client.view('v2')
      const after = await nowNs()
      for (const key of ['c1', 'c2', 'a1', 'a2', 'v1', 'v2']) {
        await checkUpdate(client, await client.stat(key), { before, after })
      }
    })

    it('frees a key with its snapshot', async () => {
      await client.prepare('committed-a')
      await client.commit('committed-1', 'committed-a')
      await client.prepare('reuse-1', 'committed-1')
      await client.remove('reuse-1')
      await client.view('reuse-1', 'committed-1')
      await client.remove('reuse-1')
      await client.prepare('reuse-1')
      await client.remove('committed-1')
      await client.commit('committed-1', 'reuse-1')
    })

    it('lists what filters match', async () => {
      await checkFilters(client)
    })

    it('gives the same information in a list and for one snapshot, also at the same time', async () => {
      await namedSnapshots(client, 'stat-in-walk-')
      let compared = 0
      for await (const batch of client.list()) {
        for (const info of batch) {
          assert.deepEqual(await client.stat(info.name), info)
          compared += 1
        }
      }
      assert.equal(compared, 4)
    })

    it('shows files that a layer overwrites', async () => {
      await checkLayers(
        async (root) => {
          await directory(root, 'etc', 0o700)
          await file(root, 'etc/hosts', 'mydomain 10.0.0.1', 0o644)
          await file(root, 'etc/profile', 'PATH=/usr/bin', 0o644)
        },
        async (root) => {
          await file(root, 'etc/hosts', 'mydomain 10.0.0.2', 0o644)
          await file(root, 'etc/profile', 'PATH=/usr/bin', 0o666)
          await directory(root, 'root', 0o700)
          await file(root, 'root/.bashrc', 'PATH=/usr/sbin:/usr/bin', 0o644)
        },
      )
    })

    it('hides the content of a directory that was removed and made again', async () => {
      await checkLayers(
        async (root) => {
          await directory(root, 'lib', 0o700)
          await file(root, 'lib/hidden', '', 0o644)
        },
        async (root) => {
          await rm(join(root, 'lib'), { recursive: true })
          await directory(root, 'lib', 0o700)
          await file(root, 'lib/not-hidden', '', 0o644)
        },
        (root) => file(root, 'lib/newfile', '', 0o644),
      )
    })

    it('keeps changes of owner', async () => {
      const paths = ['opt', 'opt/a', 'opt/a/b', 'opt/a/b/file.txt']
      await checkLayers(
        async (root) => {
          for (const path of paths.slice(0, 3)) await directory(root, path, 0o700)
          await file(root, 'opt/a/b/file.txt', 'hello', 0o644)
        },
        async (root) => {
          for (const path of paths) await chown(join(root, path), 1, 1)
        },
      )
    })

    it('keeps owners of directories through removal and new creation', async () => {
      await checkLayers(
        async (root) => {
          for (const i of [1, 2, 3, 4, 5]) await directory(root, `dir${i}`, 0o700)
          await file(root, 'dir4/f1', '...', 0o644)
          await file(root, 'dir5/f1', '...', 0o644)
          const owned = ['dir1', 'dir2', 'dir3', 'dir5', 'dir5/f1']
          for (const path of owned) await chown(join(root, path), 1, 1)
        },
        async (root) => {
          await chown(join(root, 'dir2'), 0, 0)
          await rm(join(root, 'dir3'), { recursive: true })
          await chown(join(root, 'dir4'), 1, 1)
          await chown(join(root, 'dir4/f1'), 1, 1)
        },
        async (root) => {
          await directory(root, 'dir3', 0o700)
          await chown(join(root, 'dir3'), 1, 1)
          await rm(join(root, 'dir5'), { recursive: true })
          await directory(root, 'dir5', 0o700)
          await chown(join(root, 'dir5'), 1, 1)
        },
      )
    })

    it('keeps a snapshot that has children', async () => {
      const base = await layer('', () => Promise.resolve())
      const middle = await layer(base, () => Promise.resolve())
      await client.prepare('top', middle)
      const hasChildren = { code: status.FAILED_PRECONDITION, details: /remove/ }
      await assert.rejects(client.remove(middle), hasChildren)
      await assert.rejects(client.remove(base), hasChildren)
      for (const key of ['top', middle, base]) await client.remove(key)
    })

    it('hides files that a layer removes', async () => {
      await checkLayers(
        async (root) => {
          await file(root, 'foo', 'foo\n', 0o777)
          await file(root, 'foobar', 'foobar\n', 0o777)
        },
        (root) => rm(join(root, 'foobar')),
        () => Promise.resolve(),
      )
    })

    it('moves files out of lower layers', async () => {
      await checkLayers(
        async (root) => {
          await directory(root, 'dir1', 0o700)
          await file(root, 'dir1/f1', 'Hello', 0o644)
          await directory(root, 'dir2', 0o700)
          await file(root, 'dir2/f2', '...', 0o644)
        },
        async (root) => {
          await directory(root, 'dir3', 0o700)
          await file(root, 'dir3/f1', 'Hello', 0o644)
          await rm(join(root, 'dir1'), { recursive: true })
          await link(join(root, 'dir2/f2'), join(root, 'dir3/f2'))
          await rm(join(root, 'dir2/f2'))
        },
      )
    })

    // Only files are renamed. Without redirect_dir, overlayfs cannot rename directories of a lower
    // layer, and containerd's suite does not require it of the overlayfs snapshotter.
    it('renames files of lower layers', async () => {
      await checkLayers(
        async (root) => {
          await directory(root, 'somefiles', 0o700)
          await file(root, 'somefiles/f1', 'was here first!', 0o644)
          await file(root, 'somefiles/f2', 'nothing interesting', 0o644)
        },
        async (root) => {
          await file(root, 'somefiles/f1-overwrite', 'new content 1', 0o644)
          await rename(join(root, 'somefiles/f1-overwrite'), join(root, 'somefiles/f1'))
          await rename(join(root, 'somefiles/f2'), join(root, 'somefiles/f3'))
        },
      )
    })

    it('lets nobody write to a view', async () => {
      const one = await layer('', () => Promise.resolve())
      const two = await layer(one, () => Promise.resolve())
      for (const parent of ['', one, two]) {
        const mounts = await client.view(`view-${parent}`, parent)
        await withMounts(mounts, subject.work, async (root) => {
          await assert.rejects(writeFile(join(root, 'testfile'), 'x'), { code: 'EROFS' })
        })
      }
    })

    it('gives the root directory mode 0755, whatever the umask', async () => {
      const umask = process.umask(0o077)
      try {
        const mounts = await client.prepare('active')
        const { mode } = await withMounts(mounts, subject.work, (root) => stat(root))
        assert.equal(mode & 0o7777, 0o755)
      } finally {
        process.umask(umask)
      }
    })

    it('commits while the snapshot is mounted', async () => {
      await withMounts(await client.prepare('active'), subject.work, async (root) => {
        await writeFile(join(root, 'file'), 'written')
        await client.commit('committed', 'active')
      })
      assert.equal((await client.stat('committed')).kind, 'COMMITTED')
    })

    it('mounts 128 layers', async function () {
      this.timeout(300_000)
      await checkManyLayers(subject, layer)
    })
  })
}

async function checkUpdate(
  client: SnapshotsClient,
  created: SnapshotInfo,
  { before, after }: { before: bigint; after: bigint },
): Promise<void> {
  const createdNs = nsFromTimestamp(created.createdAt)
  assert.ok(createdNs >= before && createdNs <= after, `${before} <= ${createdNs} <= ${after}`)
  assert.deepEqual(created.updatedAt, created.createdAt)

  const root = { 'containerd.io/gc.root': 'now' }
  const labels = { l1: 'v1', l2: 'v2', l3: 'v3', ...root }
  const callNs = await nowNs()
  const updated = await client.update({ ...created, parent: 'doesnotexist', labels })
  const returnNs = await nowNs()
  const updatedNs = nsFromTimestamp(updated.updatedAt)
  assert.ok(
    updatedNs >= callNs && updatedNs <= returnNs,
    `${callNs} <= ${updatedNs} <= ${returnNs}`,
  )
  assert.deepEqual(updated, { ...created, labels, updatedAt: updated.updatedAt })

  const masked = { ...updated, labels: { l1: 'updated', l4: 'v4' } }
  const some = await client.update(masked, ['labels.l1', 'labels.l2'])
  assert.deepEqual(some.labels, { l1: 'updated', l3: 'v3', ...root })
  const all = await client.update({ ...updated, labels: { l4: 'v4', ...root } }, ['labels'])
  assert.deepEqual(all.labels, { l4: 'v4', ...root })
  assert.deepEqual(await client.stat(created.name), all)
  for (const path of ['parent', 'kind', 'name', 'created_at', 'nonsense']) {
    await assert.rejects(client.update({ ...all, parent: 'doesnotexist' }, ['labels.l4', path]), {
      code: status.INVALID_ARGUMENT,
    })
  }
  assert.deepEqual(await client.stat(created.name), all)
}

async function checkFilters(client: SnapshotsClient): Promise<void> {
  const root = { 'containerd.io/gc.root': 'check-walk' }
  await client.prepare('a-np', '', root)
  await client.prepare('p-tmp', '', root)
  await client.commit('p', 'p-tmp', { labels: root })
  await client.prepare('a', 'p', root)
  await client.view('v', 'p', root)
  await client.prepare('p-wl-tmp', '', root)
  await client.commit('p-wl', 'p-wl-tmp', { labels: { l: '1', ...root } })
  await client.prepare('a-wl', 'p-wl', { l: '2', ...root })
  await client.view('v-wl', 'p-wl', { l: '3', ...root })
  await client.prepare('a-np-wl', '', { l: '2', ...root })

  const walk = 'labels."containerd.io/gc.root"==check-walk'
  const table: readonly (readonly [readonly string[], ...string[]])[] = [
    [['a-np', 'p', 'a', 'v', 'p-wl', 'a-wl', 'v-wl', 'a-np-wl']],
    [['a-np', 'p', 'a', 'v', 'p-wl', 'a-wl', 'v-wl', 'a-np-wl'], walk],
    [['a-np', 'a', 'a-wl', 'a-np-wl'], `kind==active,${walk}`],
    [['v', 'v-wl'], `kind==view,${walk}`],
    [['p', 'p-wl'], `kind==committed,${walk}`],
    [['p', 'a-np-wl'], 'name==p', 'name==a-np-wl'],
    [['a-wl'], 'name==a-wl,labels.l'],
    [['a', 'v'], 'parent==p'],
    [['a', 'v', 'a-wl', 'v-wl'], `parent!="",${walk}`],
    [['p-wl', 'a-wl', 'v-wl', 'a-np-wl'], 'labels.l'],
    [['a-wl', 'a-np-wl'], 'labels.l==2'],
  ]
  for (const [names, ...filters] of table) {
    const found = (await client.listAll(...filters)).map((info) => info.name)
    assert.deepEqual(found.sort(), [...names].sort(), filters.join(' or '))
  }
}

async function checkManyLayers(
  { client, work }: Subject,
  layer: (parent: string, change: Change) => Promise<string>,
): Promise<void> {
  const changeOf =
    (i: number): Change =>
    async (root) => {
      if (i === 0) {
        await file(root, 'bottom', 'way at the bottom\n', 0o777)
        await directory(root, 'addhere', 0o755)
      } else {
        await file(root, `addhere/file-${i}`, 'same\n', 0o755)
        await rm(join(root, 'onlyme'), { recursive: true })
      }
      await file(root, 'overwriteme', `${i} WAS HERE!\n`, 0o777)
      await directory(root, 'onlyme', 0o755)
      await file(root, `onlyme/file-${i}`, 'only me!\n', 0o777)
    }
  const flat = join(work, 'flat')
  await directory(work, 'flat', 0o755)
  let parent = ''
  for (let i = 0; i < 128; i++) {
    parent = await layer(parent, changeOf(i))
    await changeOf(i)(flat)
  }
  for (const mounts of [await client.view('view', parent), await client.prepare('top', parent)]) {
    await withMounts(mounts, work, (root) => assertSameContent(flat, root))
  }
}

async function namedSnapshots(client: SnapshotsClient, prefix: string): Promise<void> {
  await client.prepare(`${prefix}c1-a`)
  await client.commit(`${prefix}c1`, `${prefix}c1-a`)
  await client.prepare(`${prefix}c2-a`, `${prefix}c1`)
  await client.commit(`${prefix}c2`, `${prefix}c2-a`)
  await client.prepare(`${prefix}a1`, `${prefix}c2`)
  await client.view(`${prefix}v1`, `${prefix}c2`)
}

/**
 * Compares everything except times, because the two directories were written at different times,
 * and link counts, which overlayfs changes.
 */
async function assertSameContent(expected: string, actual: string): Promise<void> {
  const { differences } = await compareTrees(expected, actual)
  const counted = differences.filter(({ attribute }) => !['mtimeNs', 'nlink'].includes(attribute))
  assert.deepEqual(counted, [])
}

/** The time of day from another process than the one under test. */
async function nowNs(): Promise<bigint> {
  return BigInt((await runProgram(['date', '+%s%N'])).stdout.trim())
}

async function file(root: string, path: string, text: string, mode: number): Promise<void> {
  await writeFile(join(root, path), text)
  await chmod(join(root, path), mode)
}

async function directory(root: string, path: string, mode: number): Promise<void> {
  await mkdir(join(root, path))
  await chmod(join(root, path), mode)
}
