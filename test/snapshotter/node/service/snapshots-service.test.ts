import assert from 'node:assert/strict'
import { link, mkdir, open, readdir, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { runProgram } from '../../../sandbox/program.js'
import { withMounts } from '../../../sandbox/snapshot-mounts.js'
import { RunningService } from './running-service.js'
import type { SnapshotsClient } from './snapshots-client.js'

describe('the snapshots service', () => {
  let service: RunningService
  let client: SnapshotsClient

  beforeEach(async () => {
    service = await RunningService.start()
    client = service.client
  })
  afterEach(async () => {
    await service.destroy()
  })

  /** Returns the sorted names in `<root>/snapshots`. */
  async function directories(): Promise<string[]> {
    return (await readdir(join(service.root, 'snapshots'))).sort()
  }

  it('has a code for each thing that is wrong', async () => {
    await client.prepare('active')
    await client.view('view')
    const codes: readonly (readonly [status, Promise<unknown>])[] = [
      [status.NOT_FOUND, client.stat('nobody')],
      [status.NOT_FOUND, client.mounts('nobody')],
      [status.NOT_FOUND, client.usage('nobody')],
      [status.NOT_FOUND, client.remove('nobody')],
      [status.NOT_FOUND, client.update({ name: 'nobody' })],
      [status.NOT_FOUND, client.commit('name', 'nobody')],
      [status.NOT_FOUND, client.prepare('key', 'nobody')],
      [status.NOT_FOUND, client.view('key', 'nobody')],
      [status.INVALID_ARGUMENT, client.prepare('key', 'active')],
      [status.INVALID_ARGUMENT, client.prepare('key', 'view')],
      [status.INVALID_ARGUMENT, client.prepare('')],
      [status.INVALID_ARGUMENT, client.commit('', 'active')],
      [status.INVALID_ARGUMENT, client.listAll('name=x')],
      [status.FAILED_PRECONDITION, client.commit('name', 'view')],
      [status.ALREADY_EXISTS, client.commit('view', 'active')],
      [status.ALREADY_EXISTS, client.commit('active', 'active')],
    ]
    for (const [code, call] of codes) await assert.rejects(call, { code })
    await client.commit('committed', 'active')
    await assert.rejects(client.mounts('committed'), { code: status.FAILED_PRECONDITION })
    await assert.rejects(client.commit('again', 'committed'), { code: status.FAILED_PRECONDITION })
    assert.deepEqual(await directories(), ['1', '2'])
  })

  it('answers the same mounts again', async () => {
    await client.prepare('base-active')
    await client.commit('base', 'base-active')
    const active = await client.prepare('active', 'base')
    const view = await client.view('view', 'base')
    assert.deepEqual(await client.mounts('active'), active)
    assert.deepEqual(await client.mounts('view'), view)
    assert.equal(active[0]?.type, 'overlay')
    assert.equal(view[0]?.type, 'bind')
  })

  it('does not take a snapshot that names its target for one that exists', async () => {
    const labels = { 'containerd.io/snapshot.ref': 'sha256:target' }
    const mounts = await client.prepare('extract', '', labels)
    assert.equal(mounts.length, 1)
    await assert.rejects(client.stat('sha256:target'), { code: status.NOT_FOUND })
    assert.deepEqual((await client.stat('extract')).labels, labels)
  })

  it('keeps labels as they are, but for empty ones', async () => {
    const odd = { 'a.b/c': 'ü \n"', __proto__x: '1', constructor: '2' }
    await client.prepare('active', '', { ...odd, empty: '' })
    assert.deepEqual((await client.stat('active')).labels, odd)
    const removed = await client.update({ name: 'active', labels: {} }, ['labels.constructor'])
    assert.deepEqual(removed.labels, { 'a.b/c': 'ü \n"', __proto__x: '1' })
    await client.commit('committed', 'active', { labels: { only: 'these' } })
    assert.deepEqual((await client.stat('committed')).labels, { only: 'these' })
  })

  it('gives a parent at commit to a snapshot that has none', async () => {
    await client.prepare('base-active')
    await client.commit('base', 'base-active')
    await client.prepare('upper-active')
    const nobody = { code: status.NOT_FOUND, details: /"nobody"/ }
    await assert.rejects(client.commit('upper', 'upper-active', { parent: 'nobody' }), nobody)
    await client.commit('upper', 'upper-active', { parent: 'base' })
    assert.equal((await client.stat('upper')).parent, 'base')
    await assert.rejects(client.remove('base'), { code: status.FAILED_PRECONDITION })
    await client.prepare('other-active', 'upper')
    await assert.rejects(client.commit('other', 'other-active', { parent: 'base' }), {
      code: status.INVALID_ARGUMENT,
      details: /has the parent "upper"/,
    })
    await client.commit('other', 'other-active', { parent: 'upper' })
  })

  it('counts what a snapshot takes as du does, every inode once', async () => {
    const mounts = await client.prepare('active')
    const fs = mounts[0]?.source ?? ''
    await writeFile(join(fs, 'file'), Buffer.alloc(300_000))
    await link(join(fs, 'file'), join(fs, 'same'))
    await mkdir(join(fs, 'd'))
    await link(join(fs, 'file'), join(fs, 'd/same'))
    await symlink('/'.repeat(100), join(fs, 'd/link'))
    await writeFile(join(fs, 'hole'), 'x')
    await truncate(join(fs, 'hole'), 2 ** 30)
    await writeFile(Buffer.concat([Buffer.from(`${fs}/`), Buffer.from([0xff, 0xfe])]), 'bytes')
    const du = await runProgram(['du', '-s', '-B1', fs])
    const inodes = await runProgram(['du', '-s', '--inodes', fs])
    const expected = {
      size: Number.parseInt(du.stdout, 10),
      inodes: Number.parseInt(inodes.stdout, 10),
    }
    assert.equal(expected.inodes, 6)
    assert.deepEqual(await client.usage('active'), expected)
    await client.commit('committed', 'active')
    assert.deepEqual(await client.usage('committed'), expected)
    await client.view('view', 'committed')
    assert.deepEqual(await client.usage('view'), { size: 0, inodes: 0 })
    // Files with names that are not UTF-8 must be removed as well.
    await client.remove('view')
    await client.remove('committed')
    assert.deepEqual(await directories(), [])
  })

  it('cleans up what belongs to no snapshot, and nothing else', async () => {
    await client.prepare('active')
    const snapshots = join(service.root, 'snapshots')
    await mkdir(join(snapshots, '999/fs/deep'), { recursive: true })
    await writeFile(join(snapshots, '999/fs/deep/file'), '')
    await mkdir(join(snapshots, 'new-abandoned'))
    await client.cleanup()
    assert.deepEqual(await directories(), ['1'])
    await client.mounts('active')
  })

  it('goes on after a restart with all it had', async () => {
    const mounts = await client.prepare('base-active')
    await withMounts(mounts, service.work, (root) => writeFile(join(root, 'file'), 'kept'))
    await client.commit('base', 'base-active', { labels: { a: 'b' } })
    await client.prepare('active', 'base')
    const before = await client.listAll()
    const [usage, activeMounts] = [await client.usage('base'), await client.mounts('active')]
    await service.stop()
    // A killed daemon leaves behind a directory without a snapshot, and a socket.
    await mkdir(join(service.root, 'snapshots/3/fs'), { recursive: true })
    service = await RunningService.start({ directory: service.directory })
    client = service.client
    assert.deepEqual(await client.listAll(), before)
    assert.deepEqual(await client.usage('base'), usage)
    assert.deepEqual(await client.mounts('active'), activeMounts)
    await withMounts(activeMounts, service.work, async (root) => {
      assert.equal((await stat(join(root, 'file'))).size, 4)
    })
    assert.deepEqual(await directories(), ['1', '2'])
    assert.match((await client.prepare('next'))[0]?.source ?? '', /\/snapshots\/3\/fs$/)
  })

  it('never uses the number of a snapshot again', async () => {
    await client.prepare('one')
    await client.remove('one')
    await service.stop()
    service = await RunningService.start({ directory: service.directory })
    const mounts = await service.client.prepare('two')
    assert.match(mounts[0]?.source ?? '', /\/snapshots\/2\/fs$/)
  })

  it('lets one of many win that want the same key', async () => {
    const outcomes = await Promise.allSettled(
      Array.from({ length: 20 }, () => client.prepare('wanted')),
    )
    assert.equal(outcomes.filter(({ status: outcome }) => outcome === 'fulfilled').length, 1)
    assert.equal((await directories()).length, 1)
    const commits = await Promise.allSettled(
      Array.from({ length: 20 }, (_unused, i) => client.commit(`name-${i}`, 'wanted')),
    )
    assert.equal(commits.filter(({ status: outcome }) => outcome === 'fulfilled').length, 1)
    assert.equal((await client.listAll()).length, 1)
  })

  it('keeps its balance when everything happens at once', async () => {
    await client.prepare('base-active')
    await client.commit('base', 'base-active')
    await Promise.all(
      Array.from({ length: 40 }, async (_unused, i) => {
        await client.prepare(`a-${i}`, 'base')
        await client.update({ name: `a-${i}`, labels: { i: String(i) } })
        if (i % 2 === 0) await client.commit(`c-${i}`, `a-${i}`)
        await client.cleanup()
        if (i % 4 === 0) await client.remove(`c-${i}`)
      }),
    )
    const ids = (await client.listAll()).length
    assert.equal(ids, 1 + 20 + 10)
    assert.equal((await directories()).length, ids)
  })

  it('lists many snapshots in pieces', async () => {
    for (let i = 0; i < 250; i++) await client.prepare(`key-${i}`)
    const sizes: number[] = []
    for await (const batch of client.list()) sizes.push(batch.length)
    assert.deepEqual(sizes, [100, 100, 50])
  })

  it('is for root alone, and takes its socket away at the end', async () => {
    const { mode } = await stat(service.address)
    assert.equal(mode & 0o7777, 0o600)
    assert.deepEqual(await readdir(join(service.address, '..')), ['thin.sock'])
    await service.stop()
    await assert.rejects(stat(service.address), { code: 'ENOENT' })
    await service.stop()
  })

  it('refuses a root that another daemon uses', async () => {
    await assert.rejects(
      RunningService.start({ directory: service.directory, address: 'other.sock' }),
      { code: 'failed-precondition', message: /one daemon per root/ },
    )
    await client.prepare('still works')
  })

  it('refuses a database that is not its own', async () => {
    await service.stop()
    const path = join(service.root, 'snapshots.db')
    await runProgram(['sqlite3', path, 'PRAGMA user_version = 2'])
    await assert.rejects(RunningService.start({ directory: service.directory }), {
      code: 'failed-precondition',
      message: /schema version 2, this build reads 1/,
    })
    await runProgram(['sqlite3', path, 'PRAGMA application_id = 5'])
    await assert.rejects(RunningService.start({ directory: service.directory }), {
      code: 'failed-precondition',
      message: /not a snapshot database/,
    })
    const file = await open(path, 'r+')
    await file.write('garbage garbage', 0)
    await file.close()
    await assert.rejects(RunningService.start({ directory: service.directory }), {
      code: 'internal',
      message: /snapshots\.db/,
    })
  })
})
