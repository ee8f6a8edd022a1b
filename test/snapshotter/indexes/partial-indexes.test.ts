/**
 * Tests trees that are served from a part of their index: until the index is complete, and when it
 * cannot be completed.
 */
import assert from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createContentStats, TreeRegistry } from '../../../fusefs/index.js'
import {
  bytesFromStartupPages,
  type Digest,
  digestOf,
  Index,
  type LayerFileRef,
  ROOT_INO,
  type StartupPages,
  startupPagesOf,
} from '../../../index-format/index.js'
import { IndexCache } from '../../../snapshotter/indexes/index-cache.js'
import { PartialIndexes } from '../../../snapshotter/indexes/partial-indexes.js'
import { StoreSources } from '../../../snapshotter/stores/store-sources.js'
import { SnapshotterError } from '../../../snapshotter/index.js'
import { anonymous } from '../../../snapshotter/images/registry/credentials.js'
import { blobFile, publishTree, type PublishedTree } from '../inspect/published-tree.js'

const log = { error() {}, warn() {}, info() {}, debug() {} }
const never = new AbortController().signal
/** So many files that their names also fill pages that no start needs. */
const FILES = 2_000

describe('PartialIndexes', () => {
  let folder: string
  let published: PublishedTree
  let pages: StartupPages
  let registry: TreeRegistry
  let sources: StoreSources
  let partials: PartialIndexes
  /** The arguments of each call of `onChanged`. */
  let changes: (readonly number[])[]

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-partial-indexes-'))
    const members = Array.from({ length: FILES }, (_, at) => ({
      path: `directory-${at % 20}/name-${at}`,
      body: `content ${at}`,
    }))
    published = await publishTree(join(folder, 'store'), members)
    published.layer.close()
    const { indexPath } = published
    pages = startupPagesOf(indexPath, { directories: [ROOT_INO], files: new Map() })
  })

  after(() => {
    rmSync(folder, { recursive: true })
  })

  beforeEach(() => {
    mkdirSync(join(folder, 'layer'))
    registry = TreeRegistry.open({ dir: join(folder, 'trees') })
    sources = StoreSources.create(
      {
        ...{ allow: ['file:///'], mirrors: [], registries: new Map() },
        ...{ limits: {}, certificateAuthorities: [] },
      },
      { credentials: anonymous, log, stats: createContentStats() },
    )
    changes = []
    partials = start()
  })

  afterEach(async () => {
    await partials.close()
    await sources.close()
    registry.close()
    for (const name of ['layer', 'trees']) rmSync(join(folder, name), { recursive: true })
  })

  it('serve what has arrived, and take the whole in its place', async () => {
    await partials.restore()
    assert.equal(await begin(pages), true)
    register()
    const partial = openIndex()
    assert.equal(partial.readdirPlus(ROOT_INO, 0, 100).length, 20)
    assert.throws(() => readAll(partial), { code: 'incomplete-index' })
    partial.close()
    await partials.complete(published.ref.digest, never)
    const whole = openIndex()
    assert.equal(readAll(whole), FILES)
    whole.close()
    assert.deepEqual(changes, [[]])
    assert.deepEqual(readdirSync(join(folder, 'trees', 'indexes', 'partial')), [])
    assert.equal(await begin(pages), false, 'the whole is here')
  })

  it('are shared by images with the same pages', async () => {
    await partials.restore()
    assert.equal(await begin(pages), true)
    register()
    assert.equal(await begin(pages), true)
    assert.deepEqual(changes, [])
  })

  it('wait for the whole where another image has other pages', async () => {
    await partials.restore()
    assert.equal(await begin(pages), true)
    register()
    const more = { numbers: [1, 2], bytes: readFileSync(published.indexPath).subarray(0, 8192) }
    assert.equal(await begin(more), false)
    assert.deepEqual(changes, [[]])
    assert.equal(registry.list().length, 1)
  })

  it('give up trees whose pages were not those of their index', async () => {
    await partials.restore()
    const bytes = Buffer.from(pages.bytes)
    // Change a byte of the last page. This is not a page of totals, so the index still opens.
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 10) ^ 1, bytes.length - 10)
    assert.equal(await begin({ ...pages, bytes }), true)
    const { slot } = register()
    await assert.rejects(begin(pages), { code: 'invalid-content' })
    assert.deepEqual(changes, [[slot]])
    assert.deepEqual(registry.list(), [])
    assert.equal(await begin(pages), true, 'the honest image is served')
    assert.notEqual(register().slot, slot)
    await partials.complete(published.ref.digest, never)
    assert.equal(registry.list().length, 1)
  })

  it('are not made of what the recipe does not name, nor of what are no pages', async () => {
    await partials.restore()
    const ref = writePages(pages)
    writeFileSync(join(folder, 'layer', ref.file), 'something else')
    assert.equal(await beginWith(ref), false)
    assert.equal(
      await beginWith({ ...ref, digest: digestOf(Buffer.from('something else')) }),
      false,
    )
    const far = { numbers: [1, 1_000_000], bytes: Buffer.alloc(8192) }
    assert.equal(await begin(far), false)
    assert.equal(existsSync(registry.partialIndexPath(published.ref.digest)), false)
  })

  it('say why the whole cannot be had, and try again with the next who needs it', async () => {
    await partials.restore()
    assert.equal(await begin(pages), true)
    register()
    const blob = blobFile(join(folder, 'store'), published.ref.blob.digest)
    renameSync(blob, `${blob}.away`)
    try {
      await assert.rejects(partials.complete(published.ref.digest, never), (error) => {
        assert.ok(error instanceof SnapshotterError && error.code === 'unavailable')
        return true
      })
      const partial = openIndex()
      assert.equal(partial.readdirPlus(ROOT_INO, 0, 100).length, 20)
      partial.close()
    } finally {
      renameSync(`${blob}.away`, blob)
    }
    await partials.complete(published.ref.digest, never)
    assert.deepEqual(changes, [[]])
  })

  it('are completed by the next daemon, which nobody asks before it has looked', async () => {
    await partials.restore()
    assert.equal(await begin(pages), true)
    register()
    await partials.close()
    partials = start()
    const whole = partials.complete(published.ref.digest, never)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(changes, [])
    await partials.restore()
    await whole
    assert.deepEqual(changes, [[]])
  })

  it('are deleted by the next daemon where no tree needs them', async () => {
    await partials.restore()
    assert.equal(await begin(pages), true)
    await partials.close()
    partials = start()
    await partials.restore()
    assert.deepEqual(readdirSync(join(folder, 'trees', 'indexes', 'partial')), [])
  })

  it('are deleted, too, where a power failure took what completes them', async () => {
    await partials.restore()
    assert.equal(await begin(pages), true)
    register()
    await partials.close()
    writeFileSync(`${registry.partialIndexPath(published.ref.digest)}.json`, '')
    partials = start()
    await partials.restore()
    assert.deepEqual(readdirSync(join(folder, 'trees', 'indexes', 'partial')), [])
    assert.equal(await begin(pages), true, 'the next pull brings them again')
  })

  it('go with their tree', async () => {
    await partials.restore()
    assert.equal(await begin(pages), true)
    await partials.forget(published.ref.digest)
    assert.deepEqual(readdirSync(join(folder, 'trees', 'indexes', 'partial')), [])
    await partials.complete(published.ref.digest, never)
    assert.equal(existsSync(registry.indexPath(published.ref.digest)), false)
  })

  it('let go of whoever does not wait any longer', async () => {
    const signal = AbortSignal.abort()
    await assert.rejects(partials.complete(published.ref.digest, signal), { code: 'cancelled' })
  })

  function start(): PartialIndexes {
    const indexes = new IndexCache((digest: Digest) => registry.indexPath(digest))
    const onChanged = (slots: readonly number[]): Promise<void> => {
      changes.push(slots)
      return Promise.resolve()
    }
    return new PartialIndexes({ registry, indexes, sources, onChanged, log })
  }

  function begin(of: StartupPages): Promise<boolean> {
    return beginWith(writePages(of))
  }

  function beginWith(ref: LayerFileRef): Promise<boolean> {
    const origin = { folder: join(folder, 'layer'), stores: [published.storeUrl] }
    return partials.begin({ ref: published.ref, pages: ref, ...origin }, never)
  }

  function writePages(of: StartupPages): LayerFileRef {
    const bytes = bytesFromStartupPages(of)
    writeFileSync(join(folder, 'layer', 'pages'), bytes)
    return { file: 'pages', digest: digestOf(bytes), sizeBytes: bytes.length }
  }

  function register(): { slot: number } {
    const { digest: indexDigest } = published.ref
    return registry.register({ indexDigest, class: 'plain', stores: [published.storeUrl] })
  }

  function openIndex(): Index {
    const { path, isPartial } = registry.indexFile(published.ref.digest)
    return Index.open(path, { isPartial })
  }

  /** Returns the number of names in the root's directories. */
  function readAll(index: Index): number {
    const directories = index.readdir(ROOT_INO, 0, 100)
    return directories.reduce((sum, { ino }) => sum + index.readdirPlus(ino, 0, FILES).length, 0)
  }
})
