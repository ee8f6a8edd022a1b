import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { blobFile, publishTree, type PublishedTree } from '../inspect/published-tree.js'
import {
  LARGE,
  SAMPLE_LAYER,
  SPARSE_DATA,
  SPARSE_OFFSET,
  SPARSE_SIZE,
} from '../inspect/sample-layer.js'
import { type Ended, runThinctl, THINCTL } from './run-thinctl.js'

describe('thinctl cat', function () {
  this.timeout(120_000)
  let folder: string
  let published: PublishedTree

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-cat-'))
    published = await publishTree(folder, SAMPLE_LAYER)
  })

  after(() => {
    published.layer.close()
    rmSync(folder, { recursive: true })
  })

  function cat(path: string): Promise<Ended> {
    return runThinctl('cat', published.indexPath, path, '--store', published.storeUrl)
  }

  async function bytesOf(path: string): Promise<Buffer> {
    const { err, out, status } = await cat(path)
    assert.equal(status, 0, err)
    return out
  }

  it('writes small, large, empty and oddly named files', async () => {
    assert.equal((await bytesOf('/etc/hard-b')).toString(), 'one file with two names')
    assert.ok((await bytesOf('usr/lib/large.so')).equals(LARGE))
    assert.equal((await bytesOf('/etc/empty')).length, 0)
    assert.equal((await bytesOf('/etc/caf\\351\\ \\n')).toString(), 'not UTF-8')
  })

  it('writes holes as zeros', async () => {
    const expected = Buffer.alloc(SPARSE_SIZE)
    SPARSE_DATA.copy(expected, SPARSE_OFFSET)
    assert.ok((await bytesOf('/usr/lib/sparse')).equals(expected))
  })

  it('follows symbolic links inside the tree, and out of none', async () => {
    assert.equal((await bytesOf('/etc/relative')).toString(), 'su')
    assert.equal((await bytesOf('../../../bin/su')).toString(), 'su')
  })

  const REFUSED: [string, RegExp][] = [
    ['/etc/loop', /\/etc\/loop: more than 40 symbolic links/],
    ['/etc', /\/etc of .*: not a regular file/],
    ['/dev/null', /not a regular file/],
    ['/etc/empty/', /a part of it is no directory/],
    ['/nowhere', /\/nowhere: no such file/],
  ]
  for (const [path, message] of REFUSED) {
    it(`refuses ${path} with status 2`, async () => {
      const { err, out, status } = await cat(path)
      assert.equal(status, 2)
      assert.equal(out.length, 0)
      assert.match(err, message)
    })
  }

  it('asks for a store where none is known', async () => {
    const { err, status } = await runThinctl('cat', published.indexPath, '/bin/su')
    assert.equal(status, 2)
    assert.match(err, /--store/)
  })

  it('writes nothing that does not verify', async () => {
    const [pack] = published.packs
    assert.ok(pack)
    const path = blobFile(folder, pack)
    const before = readFileSync(path)
    const damaged = Buffer.from(before)
    damaged[1000] = (damaged[1000] ?? 0) ^ 1
    writeFileSync(path, damaged)
    try {
      const { err, out, status } = await cat('/usr/lib/large.so')
      assert.equal(status, 2, err)
      assert.ok(LARGE.subarray(0, out.length).equals(out))
      assert.match(err, new RegExp(pack))
    } finally {
      writeFileSync(path, before)
    }
    assert.ok((await bytesOf('/usr/lib/large.so')).equals(LARGE))
  })

  it('ends quietly when the reader leaves', async () => {
    const command = `"${process.execPath}" "${THINCTL}" cat "${published.indexPath}" /usr/lib/large.so --store "${published.storeUrl}" | head -c 10 | wc -c; exit \${PIPESTATUS[0]}`
    const child = spawn('bash', ['-c', command], { stdio: ['ignore', 'pipe', 'pipe'] })
    const out: Buffer[] = []
    const err: Buffer[] = []
    child.stdout.on('data', (chunk: Buffer) => out.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => err.push(chunk))
    const status = await new Promise((resolve) => child.once('close', resolve))
    assert.equal(Buffer.concat(err).toString(), '')
    assert.equal(Buffer.concat(out).toString().trim(), '10')
    assert.equal(status, 0)
  })
})
