import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { digestOf, hexOf } from '../../../index-format/index.js'
import { openImageSource, ustarArchive } from '../../../snapshotter/images/index.js'
import {
  OCI_LAYER_TAR,
  OCI_MANIFEST,
  RegistryConnection,
  boundedContent,
} from '../../../snapshotter/images/registry/index.js'
import { runProgram } from '../../sandbox/program.js'

describe('openImageSource with archives', () => {
  let folder: string
  const connection = RegistryConnection.open()
  let signal: AbortSignal

  beforeEach(() => {
    signal = AbortSignal.timeout(60_000)
  })
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'test-archive-'))
  })
  after(async () => {
    await connection.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const open = (text: string): ReturnType<typeof openImageSource> =>
    openImageSource(text, { tempFolder: folder }, { connection }, signal)
  const write = (name: string, bytes: Uint8Array): string => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    return path
  }
  const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))

  const config = json({ os: 'linux', architecture: 'amd64', config: {}, rootfs: { diff_ids: [] } })
  const manifest = json({
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: {
      mediaType: 'application/vnd.oci.image.config.v1+json',
      digest: digestOf(config),
      size: config.length,
    },
    layers: [],
  })
  const layoutFiles = (names: string[]): { name: string; bytes: Uint8Array }[] => [
    { name: 'oci-layout', bytes: json({ imageLayoutVersion: '1.0.0' }) },
    {
      name: './index.json',
      bytes: json({
        schemaVersion: 2,
        manifests: names.map((name, i) => ({
          mediaType: OCI_MANIFEST,
          digest: i === 0 ? digestOf(manifest) : digestOf(config),
          size: i === 0 ? manifest.length : config.length,
          annotations: { 'org.opencontainers.image.ref.name': name },
        })),
      }),
    },
    { name: `blobs/sha256/${hexOf(digestOf(manifest))}`, bytes: manifest },
    { name: `blobs/sha256/${hexOf(digestOf(config))}`, bytes: config },
  ]

  it('finds the only image, or the one that is named', async () => {
    const one = write('one.tar', ustarArchive(layoutFiles(['a'])))
    for (const text of [one, `oci-archive:${one}`, `oci-archive:${one}:a`]) {
      const source = await open(text)
      const root = await source.root(signal)
      assert.equal(root.descriptor.digest, digestOf(manifest))
      await source.close()
    }
    const two = write('two.tar', ustarArchive(layoutFiles(['a', 'b'])))
    await assert.rejects(open(two), { code: 'invalid-argument' })
    await assert.rejects(open(`oci-archive:${two}:c`), { code: 'not-found' })
    await (await open(`oci-archive:${two}:a`)).close()
  })

  it('refuses bytes that are not what their digest says', async () => {
    const files = layoutFiles(['a'])
    const last = files.at(-2)
    assert.ok(last !== undefined)
    const bad = files.with(-2, { ...last, bytes: Buffer.from(last.bytes).fill(0x20, 5, 6) })
    const source = await open(write('bad.tar', ustarArchive(bad)))
    await assert.rejects(source.root(signal), { code: 'invalid-content' })
    await source.close()
  })

  it('follows the links with which docker save replaces equal layers', async () => {
    const work = join(folder, 'saved')
    const layer = ustarArchive([{ name: 'file', bytes: Buffer.from('content') }])
    const saved = json({
      ...(JSON.parse(config.toString()) as object),
      rootfs: { diff_ids: [digestOf(layer), digestOf(layer)] },
    })
    await runProgram(['mkdir', '-p', join(work, 'one'), join(work, 'two')])
    writeFileSync(join(work, 'one/layer.tar'), layer)
    await runProgram(['ln', '-s', '../one/layer.tar', join(work, 'two/layer.tar')])
    writeFileSync(join(work, 'config.json'), saved)
    const list = {
      Config: 'config.json',
      RepoTags: ['app:1'],
      Layers: ['one/layer.tar', 'two/layer.tar'],
    }
    writeFileSync(join(work, 'manifest.json'), json([list]))
    const archive = join(folder, 'saved.tar')
    await runProgram([
      'tar',
      '-C',
      work,
      '-cf',
      archive,
      'manifest.json',
      'config.json',
      'one',
      'two',
    ])
    const source = await open(archive)
    assert.equal(source.imageName, 'app:1')
    const descriptor = {
      mediaType: OCI_LAYER_TAR,
      digest: digestOf(layer),
      sizeBytes: layer.length,
    }
    const read = await boundedContent(source.blob(descriptor, signal), 100_000, 'layer')
    assert.ok(read.equals(layer))
    await source.close()
  })

  it('reads long member names, as GNU tar and pax write them', async () => {
    for (const format of ['gnu', 'posix']) {
      const work = join(folder, `long-${format}`)
      await runProgram(['mkdir', '-p', work])
      const long = `${'x'.repeat(120)}.json`
      writeFileSync(join(work, long), config)
      writeFileSync(
        join(work, 'manifest.json'),
        json([{ Config: long, RepoTags: null, Layers: [] }]),
      )
      const archive = join(folder, `long-${format}.tar`)
      await runProgram(['tar', `--format=${format}`, '-C', work, '-cf', archive, '.'])
      const source = await open(archive)
      const root = await source.root(signal)
      assert.ok(Buffer.from(root.bytes).includes(digestOf(config)))
      await source.close()
    }
  })

  const whole = ustarArchive(layoutFiles(['a']))
  const broken: [string, Uint8Array][] = [
    ['an empty file', Buffer.alloc(0)],
    ['zeros', Buffer.alloc(10_240)],
    ['text', Buffer.from('not a tar archive, but long enough to hold a header. '.repeat(20))],
    ['an archive that ends inside a member', whole.subarray(0, 1536 + 50)],
    ['a header with a flipped bit', flipped(whole, 520 + 512)],
    ['a member of a negative size', withSize(whole, Buffer.from('-0000000001\0'))],
    ['a member of 2^80 bytes', withSize(whole, Buffer.from('800100000000000000000000', 'hex'))],
  ]
  for (const [i, [name, bytes]] of broken.entries()) {
    it(`refuses ${name}`, async () => {
      await assert.rejects(open(write(`broken-${i}.tar`, bytes)), { code: 'invalid-content' })
    })
  }

  it('says not-found for what is not there, and for a folder that is no layout', async () => {
    await assert.rejects(open(join(folder, 'absent')), { code: 'not-found' })
    await assert.rejects(open(folder), { code: 'not-found' })
    await assert.rejects(open(`oci-archive:${folder}/absent.tar`), { code: 'not-found' })
  })
})

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

/** Replaces the size field of the archive's first header and corrects the checksum. */
function withSize(bytes: Uint8Array, field: Buffer): Uint8Array {
  const copy = Buffer.from(bytes)
  field.copy(copy, 124)
  copy.write('        ', 148)
  const sum = copy.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  copy.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return copy
}
