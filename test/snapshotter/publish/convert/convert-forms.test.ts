import assert from 'node:assert/strict'
import {
  cpSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { type Digest, digestOf, hexOf } from '../../../../index-format/index.js'
import {
  type ConvertOptions,
  type ConvertResult,
  convertImage,
  noProgress,
} from '../../../../snapshotter/publish/convert/index.js'
import { RegistryConnection } from '../../../../snapshotter/images/registry/index.js'
import { Containerd } from '../../../sandbox/containerd.js'
import { runProgram } from '../../../sandbox/program.js'
import { type SampleImage, copyImage, makeSampleImage } from './sample-image.js'

describe('convertImage between folders and archives', () => {
  let sample: SampleImage
  let connection: RegistryConnection
  let temp: string
  let signal: AbortSignal

  before(async () => {
    sample = await makeSampleImage()
    connection = RegistryConnection.open()
  })
  after(async () => {
    await connection.close()
    sample.remove()
  })
  beforeEach(() => {
    signal = AbortSignal.timeout(110_000)
    temp = mkdtempSync(join(tmpdir(), 'test-convert-'))
  })
  afterEach(() => {
    rmSync(temp, { recursive: true, force: true })
  })

  const convert = (
    source: string,
    destination: string,
    options: Partial<ConvertOptions> = {},
  ): Promise<ConvertResult> => {
    const database = join(temp, 'publish.db')
    const all = { source, destination, database, tempFolder: temp, threads: 2, ...options }
    return convertImage(all, { progress: noProgress, connection }, signal)
  }
  const indexesOf = (result: ConvertResult): Digest[] => [
    ...(result.platforms[0]?.layers.map((layer) => layer.index.digest) ?? []),
    ...(result.platforms[0] === undefined ? [] : [result.platforms[0].merged.digest]),
  ]

  it('gives the same indexes for a layout, an OCI archive and a docker archive', async () => {
    const source = `oci:${sample.layout}:1`
    const [oci, docker] = [join(temp, 'oci.tar'), join(temp, 'docker.tar')]
    await copyImage(source, `oci-archive:${oci}:app:1`)
    await copyImage(source, `docker-archive:${docker}:app:1`)
    await runProgram(['gzip', '-k', docker])
    const forms = [
      source,
      sample.layout,
      `oci-archive:${oci}`,
      oci,
      `docker-archive:${docker}:docker.io/library/app:1`,
      docker,
      `${docker}.gz`,
    ]
    const results: Digest[][] = []
    for (const [i, form] of forms.entries()) {
      const options = { database: ':memory:' }
      results.push(indexesOf(await convert(form, `oci:${temp}/out-${i}:t`, options)))
    }
    for (const [i, result] of results.entries()) assert.deepEqual(result, results[0], forms[i])
    assert.equal(readdirSync(temp).filter((name) => name.startsWith('thinctl-')).length, 0)
  })

  it('writes a layout whose folder is the store as well', async () => {
    const layout = join(temp, 'out')
    const result = await convert(`oci:${sample.layout}:1`, `oci:${layout}:thin`)
    assert.equal(result.store, `file://${layout}`)
    await copyImage(`oci:${layout}:thin`, `oci:${temp}/copy:thin`)
    for (const { index } of result.platforms[0]?.layers ?? []) {
      const path = join(layout, 'blobs/sha256', hexOf(index.blob.digest))
      assert.equal(statSync(path).size, index.blob.sizeBytes)
    }
    const second = await convert(`oci:${sample.layout}:1`, `oci:${layout}:second`)
    assert.equal(second.published.sentBlobs, 0)
    const names = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
      manifests: { annotations: Record<string, string> }[]
    }
    assert.deepEqual(
      names.manifests.map((one) => one.annotations['org.opencontainers.image.ref.name']),
      ['thin', 'second'],
    )
  })

  it('repairs an index whose bytes the store has damaged', async () => {
    const layout = join(temp, 'out')
    const first = await convert(`oci:${sample.layout}:1`, `oci:${layout}:thin`)
    const [platform] = first.platforms
    assert.ok(platform !== undefined)
    const indexes = [platform.merged, ...platform.layers.map((layer) => layer.index)]
    const paths = indexes.map(({ blob }) => join(layout, 'blobs/sha256', hexOf(blob.digest)))
    for (const path of paths) {
      const bytes = readFileSync(path)
      bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1
      writeFileSync(path, bytes)
    }
    const second = await convert(`oci:${sample.layout}:1`, `oci:${layout}:thin`)
    assert.equal(second.digest, first.digest)
    for (const path of paths) assert.equal(hexOf(digestOf(readFileSync(path))), basename(path))
  })

  it('lets two conversions share one database', async () => {
    const results = await Promise.all(
      ['a', 'b', 'c'].map((tag) => convert(`oci:${sample.layout}:1`, `oci:${temp}/${tag}:thin`)),
    )
    for (const result of results)
      assert.deepEqual(indexesOf(result), indexesOf(results[0] ?? result))
  })

  it('writes an archive that ctr images import takes', async () => {
    const archive = join(temp, 'thin.tar')
    const store = join(temp, 'store')
    const options = { store, storeUrl: 'https://packs.example.com/thin/' }
    const result = await convert(
      `oci:${sample.layout}:1`,
      `oci-archive:${archive}:example.com/app:1`,
      options,
    )
    assert.equal(result.store, 'https://packs.example.com/thin/')
    const containerd = await Containerd.start({
      directory: join(temp, 'containerd'),
      snapshotters: {},
    })
    try {
      await containerd.ctr(['images', 'import', archive])
      const { stdout } = await containerd.ctr(['images', 'ls'])
      assert.match(stdout, new RegExp(`example\\.com/app:1 .*${result.digest}`))
    } finally {
      await containerd.close()
    }
    await copyImage(`oci-archive:${archive}`, `oci:${temp}/copy:thin`)
  })

  it('wants to know where content goes when the image goes into an archive', async () => {
    await assert.rejects(convert(`oci:${sample.layout}:1`, join(temp, 'thin.tar')), {
      code: 'invalid-argument',
    })
  })

  describe('with a broken source', () => {
    let layout: string
    let layer: string
    beforeEach(() => {
      layout = join(temp, 'broken')
      cpSync(sample.layout, layout, { recursive: true })
      const blobs = join(layout, 'blobs/sha256')
      const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as {
        manifests: { digest: Digest }[]
      }
      const manifest = JSON.parse(
        readFileSync(join(blobs, hexOf(index.manifests[0]?.digest ?? 'sha256:')), 'utf8'),
      ) as { layers: { digest: Digest }[] }
      layer = join(blobs, hexOf(manifest.layers[0]?.digest ?? 'sha256:'))
    })
    const assertRefused = async (code: string, message: RegExp): Promise<void> => {
      await assert.rejects(convert(`oci:${layout}:1`, `oci:${temp}/out:t`), (error: Error) => {
        assert.ok('code' in error && error.code === code, String(error))
        assert.match(error.message, message)
        return true
      })
      assert.throws(() => statSync(join(temp, 'out/index.json')), 'the image appeared')
    }

    it('refuses a layer with a flipped bit', async () => {
      const bytes = readFileSync(layer)
      const at = bytes.length - 20
      bytes[at] = (bytes[at] ?? 0) ^ 1
      writeFileSync(layer, bytes)
      await assertRefused('invalid-content', /^layer 1 of \d \(sha256:/)
    })

    it('refuses a layer that ends too early', async () => {
      truncateSync(layer, statSync(layer).size - 100)
      await assertRefused('invalid-content', /^layer 1 of \d \(sha256:/)
    })

    it('says which blob is missing', async () => {
      rmSync(layer)
      await assertRefused('not-found', /there is no such blob/)
    })
  })
})
