import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ListedFileJson } from '../../../snapshotter/inspect/listed-file.js'
import { publishTree, type PublishedTree } from '../inspect/published-tree.js'
import { CAPABILITY, SAMPLE_LAYER } from '../inspect/sample-layer.js'
import { runThinctl } from './run-thinctl.js'

describe('thinctl ls', function () {
  this.timeout(120_000)
  let folder: string
  let published: PublishedTree

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-ls-'))
    published = await publishTree(folder, SAMPLE_LAYER)
  })

  after(() => {
    published.layer.close()
    rmSync(folder, { recursive: true })
  })

  async function ls(...args: string[]): Promise<string> {
    const { err, out, status } = await runThinctl('ls', published.indexPath, ...args)
    assert.equal(status, 0, err)
    return out.toString()
  }

  it('lists names in byte order, each on a line of its own whatever is in it', async () => {
    assert.equal(
      await ls('/etc'),
      'absolute\ncaf\\351\\ \\n\ncopy-of-a\nempty\nhard-a\nhard-b\nlate\nloop\nrelative\n',
    )
  })

  it('shows what stat says with -l, and follows nothing', async () => {
    assert.equal(
      await ls('-l', '/dev'),
      'crw-rw-rw-   1  0  0    1, 3  1970-01-01 00:00:00.000000000  null\n' +
        'prw-------   1  0  0       0  1970-01-01 00:00:00.000000000  pipe\n' +
        'brw-rw----   1  0  6  8, 300  1970-01-01 00:00:00.000000000  sda\n',
    )
    assert.match(await ls('-l', '/bin'), /^-rwxr-xr-x\+ .* ping\n-rwsr-xr-x .* su\n$/)
    assert.match(await ls('-l', '/etc/loop'), /^lrwxrwxrwx .* \/etc\/loop -> loop\n$/)
    assert.match(await ls('-l', '/etc/late'), / 2023-11-14 22:13:20\.123456789 {2}\/etc\/late\n$/)
  })

  it('goes down with -R, titles before each directory', async () => {
    const text = await ls('-R', '/usr')
    assert.equal(text, '/usr:\ngone\nlib\n\n/usr/lib:\nlarge.so\nsparse\n')
  })

  it('takes a path as it prints it', async () => {
    assert.equal(await ls('/etc/caf\\351\\ \\n'), '/etc/caf\\351\\ \\n\n')
  })

  it('says everything with --json', async () => {
    const files = JSON.parse(await ls('-R', '--json')) as ListedFileJson[]
    const byPath = new Map(files.map((file) => [file.path, file]))
    assert.equal(byPath.size, files.length)
    assert.deepEqual(byPath.get('/bin/ping')?.xattrs, {
      'security.capability': CAPABILITY.toString('hex'),
    })
    assert.deepEqual(byPath.get('/dev/sda')?.rdev, { major: 8, minor: 300 })
    assert.equal(byPath.get('/etc/hard-a')?.ino, byPath.get('/etc/hard-b')?.ino)
    assert.equal(byPath.get('/etc/relative')?.target, '../bin/../etc/absolute')
    assert.equal(byPath.get('/usr/lib/sparse')?.sizeBytes, 10_000_000)
    assert.equal(byPath.get('/usr/gone')?.type, 'character-device')
    assert.deepEqual(
      JSON.parse(await ls('--json', '/etc/empty')),
      [byPath.get('/etc/empty')].map((file) => ({ ...file })),
    )
  })

  it('says what is not there, with status 2', async () => {
    for (const path of ['/nowhere', '/etc/empty/below']) {
      const { err, out, status } = await runThinctl('ls', published.indexPath, path)
      assert.equal(status, 2)
      assert.equal(out.length, 0)
      assert.match(err, new RegExp(`^thinctl: ${path}: `))
    }
    const missing = await runThinctl('ls', join(folder, 'no-index'))
    assert.equal(missing.status, 2, missing.err)
  })
})
