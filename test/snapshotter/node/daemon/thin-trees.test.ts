import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { compress } from 'zstd-napi'
import { ContentStore, createContentStats, TreeRegistry } from '../../../../fusefs/index.js'
import {
  type Digest,
  digestOf,
  type IndexRef,
  type Recipe,
} from '../../../../index-format/index.js'
import { anonymous } from '../../../../snapshotter/images/registry/credentials.js'
import { SnapshotterError } from '../../../../snapshotter/index.js'
import { IndexCache } from '../../../../snapshotter/indexes/index-cache.js'
import { PartialIndexes } from '../../../../snapshotter/indexes/partial-indexes.js'
import { ThinTrees } from '../../../../snapshotter/node/daemon/thin-trees.js'
import { AllowedDirectories } from '../../../../snapshotter/node/snapshots/allowed-directories.js'
import { HostDirectories } from '../../../../snapshotter/node/snapshots/host-directories.js'
import { HostDirectoryLayers } from '../../../../snapshotter/node/snapshots/host-directory-layers.js'
import { TreeChanges } from '../../../../snapshotter/node/tree-changes.js'
import { StoreSources } from '../../../../snapshotter/stores/store-sources.js'
import { blobFile, publishTree, type PublishedTree } from '../../inspect/published-tree.js'

const log = { error() {}, warn() {}, info() {}, debug() {} }
const never = new AbortController().signal
const ABSENT: Digest = `sha256:${'ab'.repeat(32)}`

describe('ThinTrees', () => {
  let folder: string
  let lower: PublishedTree
  let registry: TreeRegistry
  let sources: StoreSources
  let content: ContentStore
  let partialIndexes: PartialIndexes
  let trees: ThinTrees
  /** Slots that were announced as removed. */
  let removed: number[]

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-trees-'))
    lower = await publishTree(join(folder, 'store'), [{ path: 'name', body: 'content' }])
    lower.layer.close()
  })

  after(() => {
    rmSync(folder, { recursive: true })
  })

  beforeEach(async () => {
    const stats = createContentStats()
    registry = TreeRegistry.open({ dir: join(folder, 'trees') })
    sources = StoreSources.create(
      {
        ...{ mirrors: [], limits: {}, certificateAuthorities: [] },
        ...{ allow: ['file:///'], registries: new Map() },
      },
      { credentials: anonymous, log, stats },
    )
    content = await ContentStore.open({ cacheDir: join(folder, 'cache') }, { log, stats })
    const indexes = new IndexCache((digest) => registry.indexPath(digest))
    const onChanged = (): Promise<void> => Promise.resolve()
    partialIndexes = new PartialIndexes({ registry, indexes, sources, onChanged, log })
    const changes = new TreeChanges()
    removed = []
    changes.listen(({ removedSlots }) => {
      removed.push(...removedSlots)
    })
    const allowed = new AllowedDirectories([])
    const hosts = new HostDirectoryLayers(
      await HostDirectories.open(join(folder, 'host'), { allowed }),
    )
    trees = new ThinTrees(
      { mountpoints: { plain: join(folder, 'plain'), xattr: join(folder, 'xattr') } },
      {
        ...{ registry, indexes, partialIndexes, sources, content, changes },
        hostDirectories: hosts,
        starts: { openTree: ({ register }) => register(), removed: () => undefined },
        onIndexesDeleted: () => undefined,
        prepareMount: () => Promise.resolve(),
      },
    )
    await trees.restore([])
  })

  afterEach(async () => {
    await partialIndexes.close()
    await content.close()
    await sources.close()
    registry.close()
    for (const name of ['trees', 'cache', 'host']) rmSync(join(folder, name), { recursive: true })
  })

  it('releases the trees of a pull whose next layer cannot be had', async () => {
    await assert.rejects(register([lower.ref, absentLayer()]), (error: unknown) => {
      assert.ok(error instanceof SnapshotterError)
      assert.equal(error.code, 'unavailable')
      return true
    })
    assert.deepEqual(registry.list(), [])
    assert.deepEqual(removed, [1])
    assert.equal(existsSync(registry.indexPath(lower.ref.digest)), false)
  })

  it('refuses an index that has the right digest but is none, and deletes it', async () => {
    const raw = Buffer.alloc(3 * 4096)
    const bytes = compress(raw)
    const blob = { digest: digestOf(bytes), sizeBytes: bytes.length }
    writeFileSync(blobFile(lower.folder, blob.digest), bytes)
    const zeros: IndexRef = { digest: digestOf(raw), sizeBytes: raw.length, blob, xattrs: false }
    await assert.rejects(register([zeros]), (error: unknown) => {
      assert.ok(error instanceof SnapshotterError)
      assert.equal(error.code, 'invalid-content')
      assert.match(error.message, /cannot be used/)
      return true
    })
    assert.deepEqual(registry.list(), [])
    assert.equal(existsSync(registry.indexPath(zeros.digest)), false)
  })

  it('keeps a tree of a failed pull that another snapshot uses', async () => {
    const layer = await register([lower.ref])
    await assert.rejects(register([lower.ref, absentLayer()]))
    assert.deepEqual(
      registry.list().map(({ indexDigest }) => indexDigest),
      [lower.ref.digest],
    )
    assert.deepEqual(removed, [])
    await trees.release(layer)
    assert.deepEqual(registry.list(), [])
  })

  function absentLayer(): IndexRef {
    return {
      digest: ABSENT,
      sizeBytes: 8192,
      blob: { digest: ABSENT, sizeBytes: 100 },
      xattrs: false,
    }
  }

  function register(layers: readonly IndexRef[]): ReturnType<ThinTrees['register']> {
    const fsDir = join(folder, 'layer')
    mkdirSync(fsDir, { recursive: true })
    const recipe: Recipe = {
      version: '1.0',
      origin: 'test',
      layers: [],
      thin: { version: 1, stores: [lower.storeUrl], layers },
    }
    return trees.register(recipe, { fsDir, hasParent: true }, never)
  }
})
