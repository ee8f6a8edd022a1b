import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Digest, hexOf } from '../../../../index-format/index.js'
import {
  type ConvertOptions,
  type ConvertResult,
  contentTag,
  convertImage,
  noProgress,
} from '../../../../snapshotter/publish/convert/index.js'
import { RegistryConnection, parsePlatform } from '../../../../snapshotter/images/registry/index.js'
import { runProgram } from '../../../sandbox/program.js'
import { type DockerRegistry, startDockerRegistry } from '../../images/registry/docker-registry.js'
import { type SampleImage, copyImage, makeMultiPlatform, makeSampleImage } from './sample-image.js'
import { ThinReader } from './thin-reader.js'

describe('convertImage on docker-registry', () => {
  let registry: DockerRegistry
  let sample: SampleImage
  let connection: RegistryConnection
  let temp: string
  let database: string
  let signal: AbortSignal

  before(async () => {
    registry = await startDockerRegistry()
    sample = await makeSampleImage()
    connection = RegistryConnection.open()
    await copyImage(`oci:${sample.layout}:1`, `docker://${registry.host}/app:1`)
  })
  after(async () => {
    await connection.close()
    sample.remove()
    await registry.stop()
  })
  beforeEach(() => {
    signal = AbortSignal.timeout(110_000)
    temp = mkdtempSync(join(tmpdir(), 'test-convert-'))
    database = join(temp, 'publish.db')
  })
  afterEach(() => {
    const left = readdirSync(temp).filter((name) => name.startsWith('thinctl-'))
    rmSync(temp, { recursive: true, force: true })
    assert.deepEqual(left, [], 'temporary files were left behind')
  })

  const convert = (
    source: string,
    destination: string,
    options: Partial<ConvertOptions> = {},
  ): Promise<ConvertResult> => {
    const all = { source, destination, database, tempFolder: temp, threads: 2, ...options }
    return convertImage(all, { progress: noProgress, connection }, signal)
  }
  const reader = (repository: string): ThinReader =>
    new ThinReader(`http://${registry.host}/v2/${repository}`)

  it('makes an image whose recipe, indexes and packs give every file back', async () => {
    const result = await convert(`${registry.host}/app:1`, `${registry.host}/app:1-thin`)
    const thin = reader('app')
    const manifest = await thin.manifest('1-thin')
    const recipe = await thin.recipe(manifest)
    const original = await thin.manifest('1')
    assert.deepEqual(
      recipe.layers.map((layer) => layer.digest),
      original.layers.map((layer) => layer.digest),
    )
    assert.deepEqual(recipe.thin?.stores, [`oci+http://${registry.host}/app`])
    const merged = recipe.thin.merged
    assert.ok(merged !== undefined)
    const index = await thin.index(merged, temp)
    try {
      for (const path of [
        'usr/lib/large.bin',
        'usr/share/doc/file-299',
        'etc/replaced',
        'etc/kept',
      ]) {
        const found = await thin.file(index, path)
        assert.ok(found?.equals(sample.files.get(path) ?? Buffer.alloc(0)), path)
      }
      assert.equal(await thin.file(index, 'etc/gone'), undefined)
    } finally {
      index.close()
    }
    const { files } = await thin.layer(manifest)
    const embedded = files.get(merged.embedded ?? '')
    assert.deepEqual(embedded, await thin.blob(merged.blob.digest))
    assert.equal(result.platforms[0]?.layers.length, original.layers.length)
  })

  it('keeps configuration, labels and annotations, and gets diff IDs and history right', async () => {
    await convert(`${registry.host}/app:1`, `${registry.host}/app:1-thin`)
    const thin = reader('app')
    const [original, manifest] = [await thin.manifest('1'), await thin.manifest('1-thin')]
    const [before, after] = [await thin.config(original), await thin.config(manifest)]
    assert.deepEqual(after.config, before.config)
    assert.deepEqual(after.config.Env, ['GREETING=hello'])
    assert.equal(after.config.Labels['vendor'], 'test')
    assert.equal(manifest.annotations?.['note'], 'kept')
    assert.deepEqual(after.rootfs.diff_ids, [(await thin.layer(manifest)).diffId])
    assert.equal(after.history.length, before.history.length + 1)
    assert.equal(after.history.filter((entry) => entry.empty_layer !== true).length, 1)
    const inspected = await runProgram([
      ...['skopeo', 'inspect', '--tls-verify=false', `docker://${registry.host}/app:1-thin`],
    ])
    assert.match(inspected.stdout, /"vendor": "test"/)
  })

  it('writes the same bytes again, and sends nothing the second time', async () => {
    const first = await convert(`${registry.host}/app:1`, `${registry.host}/again:thin`)
    const second = await convert(`${registry.host}/app:1`, `${registry.host}/again:thin`)
    assert.equal(second.digest, first.digest)
    assert.ok(second.platforms[0]?.layers.every((layer) => layer.reused))
    assert.equal(second.published.sentBlobs, 0)
    const other = { database: join(temp, 'other.db') }
    const third = await convert(`${registry.host}/app:1`, `${registry.host}/again:thin`, other)
    assert.equal(third.digest, first.digest)
    assert.equal(third.published.sentBlobs, 0)
  })

  it('mounts what another repository of the registry holds', async () => {
    await convert(`${registry.host}/app:1`, `${registry.host}/one:thin`)
    const second = await convert(`${registry.host}/app:1`, `${registry.host}/two:thin`)
    assert.equal(second.published.sentBlobs, 0)
    const recipe = await reader('two').recipe(await reader('two').manifest('thin'))
    const blob = recipe.thin?.merged?.blob.digest
    assert.ok(blob !== undefined)
    await reader('two').blob(blob)
  })

  it("keeps the content through the registry's garbage collection", async () => {
    const { platforms, digest } = await convert(
      `${registry.host}/app:1`,
      `${registry.host}/gc:thin`,
    )
    const content = await reader('gc').manifest(contentTag(digest))
    assert.equal(content.subject?.digest, digest)
    assert.equal(
      platforms[0]?.packs,
      content.layers.filter((one) => one.mediaType.includes('pack')).length,
    )
    registry.collectGarbage({ deleteUntagged: true })
    for (const layer of content.layers) await reader('gc').blob(layer.digest)
    await copyImage(`docker://${registry.host}/gc:thin`, `oci:${temp}/copy:thin`)
  })

  it('stores again what the registry has lost, whatever the database says', async () => {
    const first = await convert(`${registry.host}/app:1`, `${registry.host}/lost:thin`)
    const content = await reader('lost').manifest(contentTag(first.digest))
    const pack = content.layers[0]?.digest
    assert.ok(pack !== undefined)
    await unlinkBlob('lost', pack)
    await assert.rejects(reader('lost').blob(pack))
    const second = await convert(`${registry.host}/app:1`, `${registry.host}/lost:thin`)
    assert.equal(second.digest, first.digest)
    await reader('lost').blob(pack)
  })

  it('refers to what older images share, file by file', async () => {
    const first = await convert(`${registry.host}/app:1`, `${registry.host}/share:1`)
    const layout = join(temp, 'changed')
    await copyImage(`oci:${sample.layout}:1`, `oci:${layout}:1`)
    await runProgram([
      'umoci',
      'insert',
      '--image',
      `${layout}:1`,
      join(sample.folder, 'usr'),
      '/opt',
    ])
    const second = await convert(`oci:${layout}:1`, `${registry.host}/share:2`)
    const reused = second.platforms[0]?.layers.map((layer) => layer.reused)
    assert.deepEqual(reused, [true, true, true, true, false])
    assert.ok(second.published.sentBytes < first.published.sentBytes / 10, 'content was sent again')
    const thin = reader('share')
    const merged = (await thin.recipe(await thin.manifest('2'))).thin?.merged
    assert.ok(merged !== undefined)
    const index = await thin.index(merged, temp)
    const path = 'usr/lib/large.bin'
    const copy = await thin.file(index, `opt/lib/large.bin`)
    index.close()
    assert.ok(copy?.equals(sample.files.get(path) ?? Buffer.alloc(0)))
  })

  it('converts every platform of an index, and leaves attestations out', async () => {
    const layout = await makeMultiPlatform(sample)
    const result = await convert(`oci:${layout}:multi`, `${registry.host}/multi:thin`)
    assert.deepEqual(
      result.platforms.map(({ platform }) => platform.architecture),
      ['amd64', 'arm64'],
    )
    const index = (await reader('multi').manifest('thin')) as unknown as {
      annotations: Record<string, string>
      manifests: { digest: Digest; platform: unknown; annotations: Record<string, string> }[]
    }
    assert.deepEqual(index.annotations, { purpose: 'test' })
    assert.deepEqual(
      index.manifests.map(({ platform, annotations }) => ({ platform, annotations })),
      [
        { platform: { architecture: 'amd64', os: 'linux' }, annotations: { about: '1' } },
        {
          platform: { architecture: 'arm64', os: 'linux', variant: 'v8' },
          annotations: { about: 'arm' },
        },
      ],
    )
    for (const { digest } of index.manifests) await reader('multi').manifest(digest)
    const arm = { platforms: [parsePlatform('linux/arm64')] }
    const one = await convert(`oci:${layout}:multi`, `${registry.host}/multi:arm`, arm)
    assert.equal(one.platforms.length, 1)
    const riscv = { platforms: [parsePlatform('linux/riscv64')] }
    await assert.rejects(convert(`oci:${layout}:multi`, `${registry.host}/multi:no`, riscv), {
      code: 'not-found',
    })
  })

  it('refuses a thin image as its source', async () => {
    await convert(`${registry.host}/app:1`, `${registry.host}/app:1-thin`)
    await assert.rejects(convert(`${registry.host}/app:1-thin`, `${registry.host}/app:2-thin`), {
      code: 'failed-precondition',
    })
  })

  it('ends soon when it is cancelled, and leaves no temporary file', async () => {
    const controller = new AbortController()
    const options = {
      source: `${registry.host}/app:1`,
      destination: `${registry.host}/cancel:thin`,
    }
    const all = { ...options, database, tempFolder: temp, threads: 2 }
    const running = convertImage(all, { progress: noProgress, connection }, controller.signal)
    setTimeout(() => {
      controller.abort(new Error('enough'))
    }, 60)
    await assert.rejects(running, { code: 'cancelled' })
  })

  /** Removes a blob from the registry's files, as an administrator with a shell would. */
  async function unlinkBlob(repository: string, digest: Digest): Promise<void> {
    const base = join(registry.dataFolder, 'docker/registry/v2/repositories', repository)
    await runProgram(['rm', '-r', join(base, '_layers/sha256', hexOf(digest))])
    await runProgram([
      'rm',
      '-r',
      join(
        registry.dataFolder,
        'docker/registry/v2/blobs/sha256',
        hexOf(digest).slice(0, 2),
        hexOf(digest),
      ),
    ])
  }
})
