import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SnapshotterError } from '../../../../snapshotter/index.js'
import { AllowedDirectories } from '../../../../snapshotter/node/snapshots/allowed-directories.js'

const never = new AbortController().signal

describe('AllowedDirectories', () => {
  let folder: string
  let prefix: string

  beforeEach(() => {
    folder = realpathSync(mkdtempSync(join(tmpdir(), 'allowed-directories-')))
    prefix = join(folder, 'layers')
    mkdirSync(join(prefix, 'a', 'b'), { recursive: true })
    mkdirSync(join(folder, 'outside'))
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  it('allow a prefix and what is below it', async () => {
    assert.equal(await resolve(prefix), prefix)
    assert.equal(await resolve(join(prefix, 'a', 'b')), join(prefix, 'a', 'b'))
  })

  it('allow nothing by default', async () => {
    for (const directory of ['/usr', '/etc', '/proc/self/root', prefix]) {
      await refuses(directory, /no prefix allows it.*host_directories\.allow/, [])
    }
  })

  it('take a prefix as a path, not as a text', async () => {
    mkdirSync(`${prefix}-of-others`)
    await refuses(`${prefix}-of-others`, /no prefix allows it/)
  })

  it('follow links that stay below the prefix, and say where they lead', async () => {
    symlinkSync('a/b', join(prefix, 'relative'))
    symlinkSync(join(prefix, 'a'), join(prefix, 'absolute'))
    symlinkSync('../layers', join(prefix, 'a', 'up'))
    assert.equal(await resolve(join(prefix, 'relative')), join(prefix, 'a', 'b'))
    assert.equal(await resolve(join(prefix, 'absolute', 'b')), join(prefix, 'a', 'b'))
    await refuses(join(prefix, 'a', 'up', 'up'), /cannot be used on this host|leads out/)
  })

  it('refuse links that lead out of the prefix', async () => {
    symlinkSync(join(folder, 'outside'), join(prefix, 'absolute'))
    symlinkSync('../outside', join(prefix, 'relative'))
    symlinkSync('/', join(prefix, 'root'))
    await refuses(join(prefix, 'absolute'), /the link .*absolute leads to .*outside/)
    await refuses(join(prefix, 'relative'), /"\.\." leads out of/)
    await refuses(join(prefix, 'root', 'etc'), /the link .*root leads to \//)
  })

  it('refuse the root of a process, below which everything is', async () => {
    await refuses('/proc/self/root/etc', /refused/, ['/proc'])
  })

  it('end when links lead to each other', async () => {
    symlinkSync('second', join(prefix, 'first'))
    symlinkSync('first', join(prefix, 'second'))
    await refuses(join(prefix, 'first'), /more than 40 symbolic links/)
  })

  it('allow a prefix that is a symbolic link itself, under either name', async () => {
    const link = join(folder, 'link')
    symlinkSync(prefix, link)
    const allowed = new AllowedDirectories([link])
    const real = join(prefix, 'a')
    assert.equal(await allowed.resolve(join(link, 'a'), 'layer', never), real)
    assert.equal(await allowed.resolve(real, 'layer', never), real)
  })

  it('name the directory that is missing', async () => {
    await refuses(join(prefix, 'missing'), /missing cannot be used on this host; is it mounted/)
  })

  async function resolve(directory: string): Promise<string> {
    return new AllowedDirectories([prefix]).resolve(directory, 'layer', never)
  }

  async function refuses(
    directory: string,
    message: RegExp,
    prefixes: readonly string[] = [prefix],
  ): Promise<void> {
    const resolving = new AllowedDirectories(prefixes).resolve(directory, 'layer', never)
    await assert.rejects(resolving, (error: unknown) => {
      assert.ok(error instanceof SnapshotterError)
      assert.equal(error.code, 'failed-precondition')
      assert.match(error.message, message)
      return true
    })
  }
})
