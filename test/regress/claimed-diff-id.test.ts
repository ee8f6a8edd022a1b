/**
 * A publisher once reused a layer by the diff ID that the image's configuration claimed, without
 * looking at the blob. An image of garbage that claimed the diff ID of a private layer was given
 * the private files.
 */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Digest, digestOf, hexOf } from '../../index-format/index.js'
import { RegistryConnection } from '../../snapshotter/images/registry/index.js'
import {
  convertImage,
  type ConvertResult,
  noProgress,
} from '../../snapshotter/publish/convert/index.js'
import { PublishDatabase } from '../../snapshotter/publish/convert/publish-database.js'
import { makeSampleImage, type SampleImage } from '../snapshotter/publish/convert/sample-image.js'

interface Descriptor {
  digest: Digest
  size: number
}

describe('a layer whose diff ID is only claimed', () => {
  let sample: SampleImage
  let connection: RegistryConnection
  let temp: string

  before(async () => {
    sample = await makeSampleImage()
    connection = RegistryConnection.open()
  })

  after(async () => {
    await connection.close()
    sample.remove()
  })

  beforeEach(() => {
    temp = mkdtempSync(join(tmpdir(), 'claimed-diff-id-'))
  })

  afterEach(() => {
    rmSync(temp, { recursive: true })
  })

  it('is not found among the layers of others', async () => {
    await convert(`oci:${sample.layout}:1`, 'image')
    const index = join(temp, 'image/index.json')
    const before = readFileSync(index)
    const forged = join(temp, 'forged')
    cpSync(sample.layout, forged, { recursive: true })
    replaceLayers(forged)
    await assert.rejects(convert(`oci:${forged}:1`, 'image'), { code: 'invalid-content' })
    assert.deepEqual(readFileSync(index), before)
  })

  it('is found once its blob has been read', async () => {
    await convert(`oci:${sample.layout}:1`, 'image')
    const { platforms } = await convert(`oci:${sample.layout}:1`, 'image')
    const reused = platforms.flatMap(({ layers }) => layers.map((layer) => layer.reused))
    assert.deepEqual(reused, [true, true, true, true])
  })

  it('is read again after an upgrade from a database that did not know what was read', async () => {
    await convert(`oci:${sample.layout}:1`, 'image')
    const path = join(temp, 'publish.db')
    const { default: Database } = await import('better-sqlite3')
    const db = new Database(path)
    db.exec('DROP TABLE layer_blob; PRAGMA user_version = 1')
    db.close()
    const { platforms } = await convert(`oci:${sample.layout}:1`, 'image')
    const reused = platforms.flatMap(({ layers }) => layers.map((layer) => layer.reused))
    assert.deepEqual(reused, [false, false, false, false])
    PublishDatabase.open(path).close()
  })

  function convert(source: string, name: string): Promise<ConvertResult> {
    const options = {
      ...{ source, destination: `oci:${join(temp, name)}:1`, tempFolder: temp, threads: 2 },
      database: join(temp, 'publish.db'),
    }
    const modules = { progress: noProgress, connection }
    return convertImage(options, modules, AbortSignal.timeout(110_000))
  }

  /** Gives the image other blobs for its layers, and leaves its configuration as it is. */
  function replaceLayers(layout: string): void {
    const blobs = join(layout, 'blobs/sha256')
    const write = (bytes: Buffer): Descriptor => {
      const digest = digestOf(bytes)
      writeFileSync(join(blobs, hexOf(digest)), bytes)
      return { digest, size: bytes.length }
    }
    const indexPath = join(layout, 'index.json')
    const index = JSON.parse(readFileSync(indexPath, 'utf8')) as { manifests: [Descriptor] }
    const [named] = index.manifests
    const manifest = JSON.parse(readFileSync(join(blobs, hexOf(named.digest)), 'utf8')) as {
      layers: Descriptor[]
    }
    for (const [at, layer] of manifest.layers.entries()) {
      // An empty archive, of another length for each layer.
      Object.assign(layer, write(gzipSync(Buffer.alloc(1024 * (at + 1)))))
    }
    Object.assign(named, write(Buffer.from(JSON.stringify(manifest))))
    writeFileSync(indexPath, JSON.stringify(index))
  }
})
