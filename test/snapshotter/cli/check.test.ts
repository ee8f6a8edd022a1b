import assert from 'node:assert/strict'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { Digest } from '../../../index-format/index.js'
import { blobFile, publishTree, type PublishedTree } from '../inspect/published-tree.js'
import { SAMPLE_LAYER } from '../inspect/sample-layer.js'
import { LayoutImage } from '../inspect/verify/layout-image.js'
import { runThinctl } from './run-thinctl.js'

interface CheckReport {
  readonly count: number
  readonly findings: readonly { readonly code: string; readonly where: string }[]
  readonly checked?: { readonly packs: number; readonly indexes: number; readonly others: number }
}

describe('thinctl check', function () {
  this.timeout(120_000)
  let folder: string
  let published: PublishedTree
  let pack: Digest

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-check-'))
    published = await publishTree(folder, SAMPLE_LAYER)
    published.layer.close()
    const [first] = published.packs
    assert.ok(first)
    pack = first
  })

  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  async function check(...args: string[]): Promise<CheckReport> {
    const { err, out, status } = await runThinctl('check', '--json', ...args)
    assert.notEqual(out.length, 0, err)
    const report = JSON.parse(out.toString()) as CheckReport
    assert.equal(status, report.count === 0 ? 0 : 1)
    return report
  }

  function codesOf(report: CheckReport): string[] {
    return [...new Set(report.findings.map(({ code }) => code))].sort()
  }

  function flip(path: string, at: number): void {
    const bytes = readFileSync(path)
    bytes[at] = (bytes[at] ?? 0) ^ 1
    writeFileSync(path, bytes)
  }

  it('finds nothing in an index, its packs, and a store that are as they were written', async () => {
    const index = await check(published.indexPath, '--store', folder)
    assert.deepEqual(index.findings, [])
    const store = await check('--store', published.storeUrl)
    assert.deepEqual(store.findings, [])
    assert.deepEqual([store.checked?.packs, store.checked?.indexes], [published.packs.length, 1])
    const text = await runThinctl('check', published.indexPath)
    assert.deepEqual([text.status, text.out.toString()], [0, 'no findings\n'])
  })

  it('finds a flipped byte of a pack, by pack and frame', async () => {
    flip(blobFile(folder, pack), 1000)
    const index = await check(published.indexPath, '--store', folder)
    assert.ok(index.findings.some(({ where }) => where.startsWith(`pack ${pack} frame `)))
    assert.ok(codesOf(index).includes('pack-digest-mismatch'))
    const store = await check('--store', folder)
    assert.ok(codesOf(store).includes('blob-digest-mismatch'))
    assert.ok(store.findings.some(({ where }) => where.startsWith(`pack ${pack} frame `)))
    assert.deepEqual(
      (await check(published.indexPath, '--store', folder, '--no-packs')).findings,
      [],
    )
  })

  it('finds a pack that is missing', async () => {
    rmSync(blobFile(folder, pack))
    assert.deepEqual(codesOf(await check(published.indexPath, '--store', folder)), ['missing-pack'])
    assert.deepEqual(codesOf(await check('--store', folder)), ['missing-pack'])
  })

  it('finds what is wrong in an index', async () => {
    const edited = join(folder, 'edited')
    copyFileSync(published.indexPath, edited)
    const database = new Database(edited)
    database.exec(`DELETE FROM inode WHERE uid=1000; DELETE FROM entry WHERE name=x'737061727365'`)
    database.close()
    const codes = codesOf(await check(edited))
    assert.ok(codes.includes('dangling-entry'), codes.join())
    assert.ok(codes.includes('unreachable-inode'), codes.join())
    const { out, status } = await runThinctl('check', edited)
    assert.equal(status, 1)
    assert.match(out.toString(), /^dangling-entry: .*\n/m)
    assert.match(out.toString(), /\n\d+ findings\n$/)
  })

  it('finds strangers and damaged indexes in a store', async () => {
    writeFileSync(join(folder, 'blobs', 'sha256', 'left.new'), 'half')
    flip(blobFile(folder, published.ref.blob.digest), 200)
    const codes = codesOf(await check('--store', folder))
    assert.ok(codes.includes('stray-file'), codes.join())
    assert.ok(codes.includes('blob-digest-mismatch'), codes.join())
  })

  it('checks a thin image with its packs, and says what of it is damaged', async () => {
    const layout = LayoutImage.write(join(folder, 'original'), [
      { architecture: 'amd64', layers: [SAMPLE_LAYER, [{ path: 'second', body: 'second' }]] },
    ])
    const store = join(folder, 'image-store')
    const thin = `oci:${folder}/thin:1`
    const made = await runThinctl(
      'convert',
      layout.name,
      thin,
      '--store',
      store,
      '--database',
      join(folder, 'db'),
    )
    assert.equal(made.status, 0, made.err)
    assert.deepEqual((await check(thin)).findings, [])
    const { recipe } = await new LayoutImage(join(folder, 'thin')).thinLayer()
    const second = recipe.thin?.layers[1]
    assert.ok(second)
    rmSync(blobFile(store, second.blob.digest))
    flip(blobFile(store, pack), 1000)
    const { findings } = await check(thin)
    assert.ok(findings.some(({ code, where }) => code === 'missing-index' && where === 'layer 1'))
    assert.ok(findings.some(({ where }) => where.startsWith(`layer 0, pack ${pack} frame `)))
  })

  it('wants something to check, with status 2', async () => {
    const { err, status } = await runThinctl('check')
    assert.equal(status, 2)
    assert.match(err, /name an image, an index file, or one folder/)
  })
})
