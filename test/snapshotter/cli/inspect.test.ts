import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesFromRecipe, digestOf, type Recipe } from '../../../index-format/index.js'
import type { IndexReport, ThinImageReport } from '../../../snapshotter/inspect/image-report.js'
import { blobFile, publishTree, type PublishedTree } from '../inspect/published-tree.js'
import { LARGE, SAMPLE_LAYER } from '../inspect/sample-layer.js'
import { runThinctl } from './run-thinctl.js'

describe('thinctl inspect', function () {
  this.timeout(120_000)
  let folder: string
  let published: PublishedTree

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-inspect-'))
    const twice = [...SAMPLE_LAYER, { path: 'usr/lib/large-copy.so', body: LARGE }]
    published = await publishTree(join(folder, 'store'), twice)
  })

  after(() => {
    published.layer.close()
    rmSync(folder, { recursive: true })
  })

  it('says what an index file describes', async () => {
    const { err, out, status } = await runThinctl('inspect', '--json', published.indexPath)
    assert.equal(status, 0, err)
    const { content, tree } = JSON.parse(out.toString()) as IndexReport
    assert.equal(tree.digest, published.ref.digest)
    assert.equal(tree.indexSizeBytes, published.ref.sizeBytes)
    assert.equal(tree.class, 'xattr')
    assert.equal(tree.kind, 'layer')
    assert.equal(content.packs, published.packs.length)
    const stored = published.packs.map((pack) => readFileSync(blobFile(published.folder, pack)))
    assert.equal(
      content.packStoredBytes,
      stored.reduce((sum, { length }) => sum + length, 0),
    )
    // The bytes of the copy of the large file, and of etc/copy-of-a.
    assert.equal(content.sharedWithinBytes, LARGE.length + 23)
    assert.equal(content.sharedBetweenBytes, 0)
    assert.equal(content.uniqueBytes, content.fileBytes - content.sharedWithinBytes)
    assert.equal(content.packRawBytes, content.uniqueBytes)
  })

  it('says what a recipe in a folder leads to, and counts what layers share once', async () => {
    const { ref, storeUrl } = published
    const layer = {
      digest: digestOf(Buffer.from('x')),
      url: { kind: 'thin', index: ref.digest },
    } as const
    const recipe: Recipe = {
      version: '1.0',
      origin: 'app:1@http://registry/v2',
      layers: [layer, layer],
      thin: { version: 1, stores: [storeUrl], layers: [ref, ref] },
    }
    const unpacked = join(folder, 'fs')
    mkdirSync(unpacked)
    writeFileSync(join(unpacked, 'thin.json'), bytesFromRecipe(recipe))
    const json = await runThinctl('inspect', '--json', unpacked)
    assert.equal(json.status, 0, json.err)
    const report = JSON.parse(json.out.toString()) as Omit<ThinImageReport, 'platform'>
    assert.deepEqual(report.recipe.stores, [storeUrl])
    assert.deepEqual(
      report.trees.map(({ name }) => name),
      ['layer 0', 'layer 1'],
    )
    assert.equal(report.content.sharedBetweenBytes, report.content.uniqueBytes)
    assert.equal(report.content.packs, published.packs.length)
    const text = await runThinctl('inspect', unpacked)
    assert.match(
      text.out.toString(),
      /^recipe +version 1\.0, 2 layers\norigin +app:1@http:\/\/registry\/v2\n/,
    )
    assert.match(text.out.toString(), /\nlayer 1 +xattr +\d+ +\d+ +[\d.]+ MiB/)
  })

  it('says with status 2 that an index is damaged', async () => {
    const damaged = join(folder, 'damaged')
    const bytes = readFileSync(published.indexPath)
    bytes[60] = 0xff
    writeFileSync(damaged, bytes)
    const { err, status } = await runThinctl('inspect', damaged)
    assert.equal(status, 2, err)
    assert.match(err, /^thinctl: read index .*damaged: /)
  })
})
