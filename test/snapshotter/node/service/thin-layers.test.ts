import assert from 'node:assert/strict'
import { chmod, mkdir, readFile, readdir, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { runProgram } from '../../../sandbox/program.js'
import { withMounts } from '../../../sandbox/snapshot-mounts.js'
import { RunningService } from './running-service.js'

const HEX = 'a'.repeat(64)

/** Returns a recipe whose layers are host directories, bottom first. */
function recipeOf(...directories: readonly string[]): string {
  const layers = directories.map((path) => ({ digest: HEX, url: `file://${path}` }))
  return JSON.stringify({ version: '1.0', origin: 'test:1@http://localhost/v2', layers })
}

describe('thin layers that are directories of the host', () => {
  let service: RunningService
  let bottom: string
  let top: string

  beforeEach(async () => {
    service = await RunningService.start()
    bottom = join(service.work, 'a directory, with: odd characters')
    top = join(service.work, 'top')
    await mkdir(join(bottom, 'etc'), { recursive: true })
    await mkdir(join(top, 'etc'), { recursive: true })
    await writeFile(join(bottom, 'etc', 'bottom'), 'bottom')
    await writeFile(join(bottom, 'etc', 'gone'), 'gone')
    await writeFile(join(top, 'etc', 'top'), 'top')
    await runProgram(['mknod', join(top, 'etc', 'gone'), 'c', '0', '0'])
  })

  afterEach(async () => {
    await service.destroy()
  })

  /** Commits a layer with these files. */
  async function commit(name: string, files: Record<string, string>, parent = ''): Promise<void> {
    const mounts = await service.client.prepare(`${name}-active`, parent)
    await withMounts(mounts, service.work, async (directory) => {
      for (const [path, text] of Object.entries(files)) await writeFile(join(directory, path), text)
    })
    await service.client.commit(name, `${name}-active`)
  }

  async function listing(key: string, directory = 'etc'): Promise<string[]> {
    return withMounts(await service.client.mounts(key), service.work, (mounted) =>
      readdir(join(mounted, directory)),
    )
  }

  it('shows what the recipe names, without the recipe', async () => {
    await commit('image', { 'thin.json': recipeOf(bottom, top) })
    const mounts = await service.client.view('view', 'image')
    await withMounts(mounts, service.work, async (directory) => {
      assert.deepEqual(await readdir(directory), ['etc'])
      assert.deepEqual((await readdir(join(directory, 'etc'))).sort(), ['bottom', 'top'])
      assert.equal(await readFile(join(directory, 'etc', 'top'), 'utf8'), 'top')
    })
  })

  it('is written above like any layer', async () => {
    await commit('image', { 'thin.json': recipeOf(bottom, top) })
    await commit('changed', { 'etc/new': 'new' }, 'image')
    await service.client.prepare('container', 'changed')
    assert.deepEqual((await listing('container')).sort(), ['bottom', 'new', 'top'])
  })

  it('stands above an ordinary layer, and its whiteouts hide what is there', async () => {
    const mounts = await service.client.prepare('base-active')
    await withMounts(mounts, service.work, async (directory) => {
      await mkdir(join(directory, 'etc'))
      await writeFile(join(directory, 'etc', 'base'), 'base')
      await writeFile(join(directory, 'etc', 'gone'), 'base')
    })
    await service.client.commit('base', 'base-active')
    await commit('image', { 'thin.json': recipeOf(top) }, 'base')
    await service.client.view('view', 'image')
    assert.deepEqual((await listing('view')).sort(), ['base', 'top'])
  })

  it('runs setuid programs and opens devices also in a view of one layer', async () => {
    await runProgram(['mknod', '-m', '666', join(bottom, 'null'), 'c', '1', '3'])
    await runProgram(['cp', '/usr/bin/id', join(bottom, 'id')])
    await chmod(join(bottom, 'id'), 0o4755)
    // The directory's own filesystem need not allow setuid programs and devices either: CVMFS is a
    // FUSE mount.
    await runProgram(['mount', '--bind', bottom, bottom])
    await runProgram(['mount', '-o', 'remount,bind,nosuid,nodev', bottom])
    await commit('image', { 'thin.json': recipeOf(bottom) })
    const mounts = await service.client.view('view', 'image')
    await withMounts(mounts, service.work, async (directory) => {
      await writeFile(join(directory, 'null'), 'x')
      await chmod(service.directory, 0o711)
      const { stdout } = await runProgram([
        'setpriv',
        '--reuid=65534',
        '--clear-groups',
        join(directory, 'id'),
        '-u',
      ])
      assert.equal(stdout.trim(), '0')
    })
    await runProgram(['umount', bottom])
  })

  it('takes a layer twice', async () => {
    await commit('image', { 'thin.json': recipeOf(bottom, top, bottom) })
    await service.client.prepare('container', 'image')
    assert.deepEqual((await listing('container')).sort(), ['bottom', 'gone', 'top'])
  })

  it('takes 128 layers with the long paths that CVMFS has', async () => {
    const directories: string[] = []
    for (let i = 0; i < 128; i++) {
      const path = join(
        service.work,
        'cvmfs',
        'unpacked.example.org',
        i.toString().padStart(64, '0'),
      )
      await mkdir(path, { recursive: true })
      await writeFile(join(path, `file-${i}`), '')
      directories.push(path)
    }
    await commit('image', { 'thin.json': recipeOf(...directories) })
    await service.client.prepare('container', 'image')
    assert.equal((await listing('container', '.')).length, 128)
  })

  it('survives a restart', async () => {
    await commit('image', { 'thin.json': recipeOf(bottom, top) })
    await service.stop()
    service = await RunningService.start({ directory: service.directory })
    await service.client.prepare('container', 'image')
    assert.deepEqual((await listing('container')).sort(), ['bottom', 'top'])
    const links = await readdir(join(service.root, 'host'))
    assert.equal(links.length, 2)
    await service.client.remove('container')
    await service.client.remove('image')
    assert.deepEqual(await readdir(join(service.root, 'host')), [])
  })

  it('names the directory that is missing, at commit and afterwards', async () => {
    await rm(top, { recursive: true })
    await assert.rejects(commit('image', { 'thin.json': recipeOf(bottom, top) }), {
      code: status.FAILED_PRECONDITION,
      details: new RegExp(`${top} cannot be used on this host; is it mounted`),
    })
    await mkdir(top)
    await service.client.commit('image', 'image-active')
    await rm(top, { recursive: true })
    const missing = { code: status.FAILED_PRECONDITION, details: new RegExp(top) }
    await assert.rejects(service.client.prepare('container', 'image'), missing)
    await assert.rejects(service.client.stat('container'), { code: status.NOT_FOUND })
    await mkdir(top)
    await service.client.prepare('container', 'image')
  })

  it('refuses directories that the configuration does not allow, and says which key would', async () => {
    for (const directory of ['/usr', '/etc', '/proc/self/root']) {
      await assert.rejects(commit('image', { 'thin.json': recipeOf(directory) }), {
        code: status.FAILED_PRECONDITION,
        details: new RegExp(
          `image test:1@http://localhost/v2, layer sha256:${HEX}, file://${directory}: .*host_directories\\.allow`,
        ),
      })
      await service.client.remove('image-active')
    }
  })

  it('refuses a directory whose path was led elsewhere after the pull', async () => {
    await commit('image', { 'thin.json': recipeOf(bottom, top) })
    await rm(top, { recursive: true })
    await symlink('/etc', top)
    const elsewhere = { code: status.FAILED_PRECONDITION, details: /leads to \/etc/ }
    await assert.rejects(service.client.prepare('container', 'image'), elsewhere)
  })

  it('judges snapshots of before by the configuration of now', async () => {
    await commit('image', { 'thin.json': recipeOf(bottom, top) })
    await service.client.prepare('container', 'image')
    await service.stop()
    service = await RunningService.start({ directory: service.directory, allow: [] })
    const refused = { code: status.FAILED_PRECONDITION, details: /host_directories\.allow/ }
    await assert.rejects(service.client.mounts('container'), refused)
    await assert.rejects(service.client.view('view', 'image'), refused)
  })

  it('refuses a recipe that it cannot read, and leaves the snapshot as it was', async () => {
    for (const text of ['{', '{"version":"2.0","layers":[]}', recipeOf('/a/../b')]) {
      await assert.rejects(commit('image', { 'thin.json': text }), {
        code: status.DATA_LOSS,
        details: /recipe .*thin\.json: recipe: \$/,
      })
      assert.equal((await service.client.stat('image-active')).kind, 'ACTIVE')
      await service.client.remove('image-active')
    }
    const mounts = await service.client.prepare('huge')
    await withMounts(mounts, service.work, async (directory) => {
      await writeFile(join(directory, 'thin.json'), '{')
      await truncate(join(directory, 'thin.json'), 2 ** 40)
    })
    await assert.rejects(service.client.commit('image', 'huge'), {
      code: status.DATA_LOSS,
      details: /1099511627776 bytes/,
    })
  })

  it('refuses a layer of trees, as long as nobody serves them', async () => {
    const digest = `sha256:${HEX}`
    const index = { digest, sizeBytes: 1, blob: { digest, sizeBytes: 1 }, xattrs: false }
    const recipe = {
      version: '1.0',
      origin: 'test',
      layers: [{ digest: HEX, url: `thin:${digest}` }],
      thin: { version: 1, stores: ['file:///store'], layers: [index] },
    }
    await assert.rejects(commit('image', { 'thin.json': JSON.stringify(recipe) }), {
      code: status.FAILED_PRECONDITION,
      details: /"thin:" layer is not a directory/,
    })
  })

  it('takes a thin.json for an ordinary file when it is not alone or is a link', async () => {
    await commit('beside', { 'thin.json': recipeOf(bottom), other: '' })
    await service.client.view('beside-view', 'beside')
    assert.deepEqual((await listing('beside-view', '.')).sort(), ['other', 'thin.json'])

    const mounts = await service.client.prepare('link-active')
    await writeFile(join(service.work, 'outside.json'), recipeOf(bottom))
    await withMounts(mounts, service.work, (directory) =>
      symlink(join(service.work, 'outside.json'), join(directory, 'thin.json')),
    )
    await service.client.commit('link', 'link-active')
    await service.client.view('link-view', 'link')
    assert.deepEqual(await listing('link-view', '.'), ['thin.json'])
  })
})
