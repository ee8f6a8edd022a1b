/** Tests startup packs for images that an index lists by platform. */
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Digest, digestOf, type Profile, ROOT_INO } from '../../../../index-format/index.js'
import { convertImage, noProgress } from '../../../../snapshotter/publish/convert/index.js'
import {
  optimizeImage,
  type OptimizeResult,
} from '../../../../snapshotter/publish/optimize/optimize-image.js'
import { RegistryConnection } from '../../../../snapshotter/images/registry/index.js'
import { runProgram } from '../../../sandbox/program.js'
import { makeMultiPlatform, makeSampleImage, type SampleImage } from '../convert/sample-image.js'
import { ThinReader } from '../convert/thin-reader.js'
import { type DockerRegistry, startDockerRegistry } from '../../images/registry/docker-registry.js'

const TOOL = 'usr/bin/tool'
/** The digest of no tree here. */
const ELSEWHERE = digestOf(Buffer.from('recorded elsewhere'))

describe('optimizeImage of several platforms', function () {
  this.timeout(120_000)
  const here = process.arch === 'x64' ? 'amd64' : process.arch
  let registry: DockerRegistry
  let sample: SampleImage
  let connection: RegistryConnection
  let temp: string
  let thin: ThinReader
  /** Digest of the merged index of each architecture. */
  let indexes: Map<string, Digest>

  before(async () => {
    registry = await startDockerRegistry()
    sample = await makeSampleImage()
    connection = RegistryConnection.open()
    temp = mkdtempSync(join(tmpdir(), 'test-optimize-'))
    thin = new ThinReader(`http://${registry.host}/v2/app`)
    const added = join(sample.folder, 'added')
    writeFileSync(added, 'of one platform alone\n')
    const layout = await makeMultiPlatform(sample, (image) =>
      runProgram(['umoci', 'insert', '--image', image, added, '/usr/bin/added']),
    )
    const all = { source: `oci:${layout}:multi`, destination: `${registry.host}/app:thin` }
    const options = { ...all, database: join(temp, 'publish.db'), tempFolder: temp, threads: 2 }
    await convertImage(options, { progress: noProgress, connection }, AbortSignal.timeout(110_000))
    indexes = await mergedIndexes('thin')
    assert.equal(new Set(indexes.values()).size, 2, 'the platforms have the same tree')
  })
  after(async () => {
    await connection.close()
    sample.remove()
    await registry.stop()
    const left = readdirSync(temp).filter((name) => name.startsWith('thinctl-'))
    rmSync(temp, { recursive: true, force: true })
    assert.deepEqual(left, [], 'temporary files were left behind')
  })

  for (const [architecture, other] of [
    ['amd64', 'arm64'],
    ['arm64', 'amd64'],
  ] as const) {
    it(`gives a profile of ${architecture}'s tree to ${architecture}, and carries ${other} over as it is`, async () => {
      const tag = `for-${architecture}`
      const result = await optimize(tag, [await profileOf('thin', architecture)])
      assert.deepEqual(architecturesOf(result), [architecture])
      assert.equal(result.carriedOver, 1)
      const before = await manifestDigests('thin')
      const after = await manifestDigests(tag)
      assert.deepEqual([...after.keys()], [...before.keys()])
      assert.equal(after.get(other), before.get(other))
      assert.notEqual(after.get(architecture), before.get(architecture))
      assert.equal(await readTool(tag, architecture), sample.files.get(TOOL)?.toString())
      assert.equal(await readTool(tag, other), sample.files.get(TOOL)?.toString())
    })
  }

  it('gives a profile of an unknown tree to the platform of this machine', async () => {
    const profile = await profileOf('thin', here)
    const result = await optimize('unknown', [{ ...profile, index: ELSEWHERE }])
    assert.deepEqual(architecturesOf(result), [here])
  })

  it('takes profiles of both platforms at once', async () => {
    const profiles = [await profileOf('thin', 'amd64'), await profileOf('thin', 'arm64')]
    const result = await optimize('both', profiles)
    assert.deepEqual(architecturesOf(result), ['amd64', 'arm64'])
    assert.equal(result.carriedOver, 0)
  })

  it('keeps what one platform has when another is optimized later', async () => {
    const result = await optimize('later', [await profileOf('thin', 'arm64')], 'for-amd64')
    assert.deepEqual(architecturesOf(result), ['arm64'])
    const [first, later] = [await manifestDigests('for-amd64'), await manifestDigests('later')]
    assert.equal(later.get('amd64'), first.get('amd64'))
  })

  async function optimize(
    tag: string,
    profiles: readonly Profile[],
    source = 'thin',
  ): Promise<OptimizeResult> {
    const options = {
      image: `${registry.host}/app:${source}`,
      destination: `${registry.host}/app:${tag}`,
      ...{ profiles, database: join(temp, 'publish.db'), tempFolder: temp },
    }
    const modules = { progress: noProgress, connection }
    return optimizeImage(options, modules, AbortSignal.timeout(60_000))
  }

  /** Returns the profile of a start that reads one small file. */
  async function profileOf(tag: string, architecture: string): Promise<Profile> {
    const index = await openIndex(tag, architecture)
    try {
      let ino = ROOT_INO
      for (const name of TOOL.split('/')) {
        ino = index.lookup(ino, Buffer.from(name)) ?? assert.fail(`${name} of ${TOOL}`)
      }
      const digest = indexes.get(architecture) ?? assert.fail(architecture)
      const ranges = [{ ino, offset: 0, length: 4096 }]
      return { index: digest, commands: [`tool on ${architecture}`], ranges }
    } finally {
      index.close()
    }
  }

  async function readTool(tag: string, architecture: string): Promise<string | undefined> {
    const index = await openIndex(tag, architecture)
    try {
      return (await thin.file(index, TOOL))?.toString()
    } finally {
      index.close()
    }
  }

  async function openIndex(tag: string, architecture: string): ReturnType<ThinReader['index']> {
    const digest = (await manifestDigests(tag)).get(architecture) ?? assert.fail(architecture)
    const { thin: section } = await thin.recipe(await thin.manifest(digest))
    return thin.index(section?.merged ?? assert.fail(`${architecture} has no merged tree`), temp)
  }

  async function mergedIndexes(tag: string): Promise<Map<string, Digest>> {
    const found = new Map<string, Digest>()
    for (const [architecture, digest] of await manifestDigests(tag)) {
      const { thin: section } = await thin.recipe(await thin.manifest(digest))
      found.set(architecture, section?.merged?.digest ?? assert.fail(architecture))
    }
    return found
  }

  /** Returns the manifest digest of each architecture, in the order of the index. */
  async function manifestDigests(tag: string): Promise<Map<string, Digest>> {
    const { manifests } = (await thin.manifest(tag)) as unknown as {
      manifests: { digest: Digest; platform: { architecture: string } }[]
    }
    return new Map(manifests.map(({ digest, platform }) => [platform.architecture, digest]))
  }
})

function architecturesOf({ platforms }: OptimizeResult): string[] {
  return platforms.map(({ platform }) => platform.architecture)
}
