import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { compress, decompress } from 'zstd-napi'
import { type Digest, digestOf, hexOf, Index, type IndexRef } from '../../../index-format/index.js'
import type { VerifyReportJson } from '../../../snapshotter/inspect/verify/verify-report.js'
import type { FixtureMember } from '../../index-format/tar/tar-fixture.js'
import { Registry } from '../../sandbox/registry.js'
import { SAMPLE_LAYER } from '../inspect/sample-layer.js'
import { LayoutImage } from '../inspect/verify/layout-image.js'
import { type Ended, runThinctl } from './run-thinctl.js'

const SECOND_LAYER: readonly FixtureMember[] = [
  // The parent directories are implied and have the attributes of the layer below.
  { path: 'usr/lib/second', body: 'second' },
  { path: 'etc/.wh.late' },
  { path: 'etc/hard-b', body: 'no link any more', uid: 1000 },
  { path: 'tmp/.wh..wh..opq' },
  { path: 'tmp/new', body: 'new', mode: 0o600 },
]
const CONFIG = { Env: ['A=b'], Entrypoint: ['/bin/sh'], Labels: { vendor: 'test' } }

describe('thinctl verify', function () {
  this.timeout(240_000)
  let folder: string
  let original: LayoutImage
  /** The folder with the output of convert. Tests change copies of it. */
  let converted: string

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-verify-'))
    original = LayoutImage.write(join(folder, 'original'), [
      {
        architecture: 'amd64',
        layers: [SAMPLE_LAYER, SECOND_LAYER],
        config: CONFIG,
        annotations: { note: 'kept' },
      },
      { architecture: 'arm64', layers: [[{ path: 'arm', body: 'arm' }]], config: CONFIG },
    ])
    converted = join(folder, 'converted')
    await succeeds(...convertArgs(original.name, `oci:${converted}/image:1`))
  })

  after(() => {
    rmSync(folder, { recursive: true })
  })

  function convertArgs(from: string, to: string): string[] {
    return [
      'convert',
      from,
      to,
      '--store',
      join(converted, 'store'),
      '--database',
      join(folder, 'db'),
    ]
  }

  async function succeeds(...args: string[]): Promise<Ended> {
    const ended = await runThinctl(...args)
    assert.equal(ended.status, 0, `thinctl ${args.join(' ')}: ${ended.err}${ended.out.toString()}`)
    return ended
  }

  /**
   * Copies the thin image and its store, calls `change` with the copies, and returns the report of
   * `thinctl verify`.
   */
  async function verifyChanged(
    change: (thin: LayoutImage, store: string) => Promise<void> | void,
  ): Promise<VerifyReportJson> {
    const copy = mkdtempSync(join(folder, 'copy-'))
    cpSync(converted, copy, { recursive: true })
    const thin = new LayoutImage(join(copy, 'image'))
    const store = join(copy, 'store')
    await change(thin, store)
    const args = [thin.name, original.name, '--store', `file://${store}`, '--json']
    const { err, out, status } = await runThinctl('verify', ...args)
    const report = parseReport(out, err)
    assert.equal(status, report.equal ? 0 : 1)
    return report
  }

  it('passes for what convert made, of all platforms', async () => {
    const report = await verifyChanged(() => undefined)
    assert.deepEqual(report.differences, [])
    assert.equal(report.equal, true)
    assert.deepEqual(
      report.platforms.map(({ platform, trees }) => [platform, trees]),
      [
        ['linux/amd64', 3],
        ['linux/arm64', 2],
      ],
    )
    assert.ok((report.platforms[0]?.contentBytes ?? 0) > 6_000_000)
  })

  const PLANTED: [string, string, string, string][] = [
    ['a mode', 'UPDATE inode SET mode=mode & ~2048 WHERE mode & 2048', 'mode', '/bin/su'],
    ['an owner', 'UPDATE inode SET uid=7 WHERE uid=1000 AND size=23', 'uid', '/etc/hard-a'],
    [
      'a time',
      'UPDATE inode SET mtime_sec=mtime_sec+1 WHERE mode & 61440=24576',
      'mtime',
      '/dev/sda',
    ],
    [
      'a capability',
      `UPDATE xattr SET value=x'00' WHERE length(value)=20`,
      'xattr-value',
      '/bin/ping',
    ],
    [
      'a target',
      `UPDATE inode SET target=x'2f62696e2f7355' WHERE target=x'2f62696e2f7375'`,
      'target',
      '/etc/absolute',
    ],
    ['a lost name', `DELETE FROM entry WHERE name=x'656d707479'`, 'missing', '/etc/empty'],
    [
      'a content',
      'UPDATE inode SET raw_offset=raw_offset-1 WHERE size=6 AND mode & 61440=32768',
      'content',
      '/usr/lib/second',
    ],
  ]

  for (const [what, statement, kind, path] of PLANTED) {
    it(`finds ${what} that the merged tree has otherwise`, async () => {
      const { differences } = await verifyChanged((thin, store) =>
        editMerged(thin, store, statement),
      )
      assert.equal(differences.length, 1, JSON.stringify(differences))
      const [found] = differences
      assert.deepEqual(
        [found?.kind, found?.tree, found?.path, found?.platform],
        [kind, 'merged', path, 'linux/amd64'],
      )
    })
  }

  it('says the same in words', async () => {
    const copy = mkdtempSync(join(folder, 'copy-'))
    cpSync(converted, copy, { recursive: true })
    const thin = new LayoutImage(join(copy, 'image'))
    const statement = 'UPDATE inode SET mode=mode & ~2048 WHERE mode & 2048'
    await editMerged(thin, join(copy, 'store'), statement)
    const args = ['--store', join(copy, 'store'), '--no-layers', '--platform', 'linux/amd64']
    const { err, out, status } = await runThinctl('verify', thin.name, original.name, ...args)
    assert.equal(status, 1, err)
    assert.match(
      out.toString(),
      /^mode: linux\/amd64 merged \/bin\/su: expected 4755, found 0755\n1 difference: 1 mode\nlinux\/amd64: 1 trees, \d+ names, [\d.]+ MiB\n$/,
    )
  })

  it('finds annotations that were lost or added', async () => {
    const { differences } = await verifyChanged((thin) => {
      thin.annotate({ other: 'new' })
    })
    assert.deepEqual(
      differences.map(({ actual, expected, kind, name }) => [kind, name, expected, actual]),
      [
        ['annotation', 'manifest note', '"kept"', 'nothing'],
        ['annotation', 'manifest other', 'nothing', '"new"'],
      ],
    )
  })

  it('finds another label, command or history in the configuration', async () => {
    const { differences } = await verifyChanged(async (thin) => {
      const history = (thin.config['history'] as unknown[]).slice(1)
      const config = { ...CONFIG, Labels: { vendor: 'somebody' }, Cmd: ['true'] }
      thin.replaceThinLayer(await thin.thinLayer(), { config, history })
    })
    assert.deepEqual(
      differences.map(({ kind, name }) => [kind, name]),
      [
        ['config', 'config.Cmd'],
        ['config', 'config.Labels'],
        ['config', 'history'],
      ],
    )
  })

  it('finds a diff ID that is not the layer', async () => {
    const { differences } = await verifyChanged(async (thin) => {
      const rootfs = { type: 'layers', diff_ids: [digestOf(Buffer.from('other'))] }
      thin.replaceThinLayer(await thin.thinLayer(), { rootfs })
    })
    assert.deepEqual(
      differences.map(({ name }) => name),
      ['rootfs'],
    )
  })

  it('finds a recipe that names other layers', async () => {
    const { differences } = await verifyChanged(async (thin) => {
      const { embedded, recipe } = await thin.thinLayer()
      const layers = recipe.layers.map((layer, number) =>
        number === 0 ? { ...layer, digest: digestOf(Buffer.from('other')) } : layer,
      )
      thin.replaceThinLayer({ embedded, recipe: { ...recipe, layers } })
    })
    assert.deepEqual(
      differences.map(({ kind, name }) => [kind, name]),
      [['recipe', 'layer 0']],
    )
  })

  it('finds a platform that was left out', async () => {
    const { differences } = await verifyChanged((thin) => {
      thin.dropPlatforms()
    })
    assert.deepEqual(
      differences.map(({ kind, platform }) => [kind, platform]),
      [['platform', 'linux/arm64']],
    )
  })

  it('finds an index that the store has not, or has otherwise than the image', async () => {
    const damaged = await verifyChanged(async (thin, store) => {
      flip(store, mergedOf((await thin.thinLayer()).recipe.thin).blob.digest, 100)
    })
    assert.deepEqual(
      damaged.differences.map(({ kind, name }) => [kind, name]),
      [['index', 'merged, store']],
    )
    const missing = await verifyChanged(async (thin, store) => {
      const [layer] = (await thin.thinLayer()).recipe.thin?.layers ?? []
      assert.ok(layer)
      rmSync(blobPath(store, layer.blob.digest))
    })
    assert.deepEqual(
      missing.differences.map(({ kind, name }) => [kind, name]),
      [['index', 'layer 0, store']],
    )
  })

  it('names pack, frame and a file when a byte of a pack is flipped', async () => {
    let pack: Digest | undefined
    const { differences } = await verifyChanged(async (thin, store) => {
      const { embedded } = await thin.thinLayer()
      pack = largestPackOf(embedded, store)
      flip(store, pack, 50_000)
    })
    assert.equal(differences.length, 1, JSON.stringify(differences))
    assert.ok(differences[0])
    assert.equal(differences[0].kind, 'unreadable')
    assert.match(differences[0].actual, /^frame \d+ of pack sha256:/)
    assert.ok(differences[0].actual.includes(pack ?? 'no pack'))
  })

  it('passes over a registry, and says 3 when the registry is gone', async () => {
    const registry = await Registry.start(join(folder, 'registry'))
    const reference = `127.0.0.1:${registry.port}/app:thin`
    try {
      await succeeds('convert', original.name, reference, '--database', join(folder, 'db'))
      const { out } = await succeeds('verify', reference, original.name)
      assert.match(
        out.toString(),
        /^equal\nlinux\/amd64: 3 trees, \d+ names, [\d.]+ MiB\nlinux\/arm64: 2 trees/,
      )
      const inspected = await succeeds('inspect', reference)
      assert.match(
        inspected.out.toString(),
        new RegExp(`store +oci\\+http://127.0.0.1:${registry.port}/app`),
      )
      const read = await succeeds('cat', reference, '/etc/relative', '--platform', 'linux/amd64')
      assert.equal(read.out.toString(), 'su')
    } finally {
      await registry.close()
    }
    const { err, status } = await runThinctl('verify', reference, original.name)
    assert.equal(status, 3, err)
    assert.match(err, /ECONNREFUSED/)
  })

  it('refuses an image that is not thin', async () => {
    const { err, status } = await runThinctl('verify', original.name, original.name)
    assert.equal(status, 2)
    assert.match(err, /is not a thin image: it has 2 layers/)
  })
})

function parseReport(out: Buffer, err: string): VerifyReportJson {
  assert.notEqual(out.length, 0, err)
  return JSON.parse(out.toString()) as VerifyReportJson
}

function blobPath(store: string, digest: Digest): string {
  return join(store, 'blobs', 'sha256', hexOf(digest))
}

function flip(store: string, digest: Digest, at: number): void {
  const path = blobPath(store, digest)
  const bytes = readFileSync(path)
  bytes[at] = (bytes[at] ?? 0) ^ 1
  writeFileSync(path, bytes)
}

function mergedOf(thin: { readonly merged?: IndexRef } | undefined): IndexRef {
  assert.ok(thin?.merged)
  return thin.merged
}

/**
 * Changes one row of the merged index by an SQL statement, and publishes the index again in the
 * store and in the image.
 */
async function editMerged(thin: LayoutImage, store: string, statement: string): Promise<void> {
  const { embedded, recipe } = await thin.thinLayer()
  assert.ok(embedded && recipe.thin)
  const path = join(store, 'edited')
  writeFileSync(path, decompress(embedded))
  const database = new Database(path)
  assert.equal(database.prepare(statement).run().changes, 1)
  database.close()
  const raw = readFileSync(path)
  rmSync(path)
  const compressed = compress(raw)
  const blob = { digest: digestOf(compressed), sizeBytes: compressed.length }
  writeFileSync(blobPath(store, blob.digest), compressed)
  const merged = { ...mergedOf(recipe.thin), digest: digestOf(raw), sizeBytes: raw.length, blob }
  thin.replaceThinLayer({
    recipe: { ...recipe, thin: { ...recipe.thin, merged } },
    embedded: compressed,
  })
}

function largestPackOf(embedded: Buffer | undefined, store: string): Digest {
  assert.ok(embedded)
  const path = join(store, 'merged')
  writeFileSync(path, decompress(embedded))
  const index = Index.open(path)
  try {
    const [largest] = index.packs().sort((a, b) => b.sizeBytes - a.sizeBytes)
    assert.ok(largest)
    return largest.digest
  } finally {
    index.close()
    rmSync(path)
  }
}
