/**
 * Tests the steps of publishing: each layer becomes an index and packs, and the indexes are merged.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  Index,
  InlineCompressor,
  MergedTree,
  packFiles,
  packInputsOf,
  PackReader,
  type PackTable,
  ResolvedLayer,
  type Tree,
  writeIndex,
} from '../../../index-format/index.js'
import { type BuiltLayer, buildLayer } from '../layer/built-layer.js'
import { dumpTree } from '../layer/tree-dump.js'
import { accessOf, MemoryStore } from '../pack/buffer-access.js'
import { tarOf } from '../tar/tar-fixture.js'
import { EVERYTHING } from './everything-stack.js'
import { LayerStack } from './layer-stack.js'

class PublishedImage {
  readonly store = new MemoryStore()
  readonly indexes: Index[] = []
  readonly #folder = mkdtempSync(join(tmpdir(), 'thin-published-'))
  readonly #raw = new Map<string, Buffer>()

  /**
   * Packs a layer's files, writes the index of `tree` and opens it. `tree` is the layer, alone or
   * resolved against the layers below it. Returns the index's digest.
   */
  async add(layer: BuiltLayer, tree: Tree): Promise<string> {
    const packed = await packFiles({
      files: packInputsOf(layer.tree, (ino) => layer.tree.contentDigest(ino) ?? assert.fail()),
      spool: accessOf(layer.spool),
      compressor: new InlineCompressor(),
      level: 3,
      openPack: () => this.store.openPack(),
    })
    const path = join(this.#folder, `layer-${this.indexes.length}`)
    const written = writeIndex(tree, {
      path,
      kind: 'layer',
      packs: packed.packs,
      extentsOf: (ino) => packed.extentsOf(ino),
    })
    this.indexes.push(Index.open(path))
    return written.digest
  }

  /** Merges the layers' indexes into one index, and opens it. */
  merge(): Index {
    const tables: PackTable[] = []
    const merged = MergedTree.create(this.indexes)
    try {
      const path = join(this.#folder, 'merged')
      const places = this.indexes.map((index) => {
        const first = tables.length
        for (const { key } of index.packs()) tables.push(index.packTable(key))
        return first
      })
      writeIndex(merged, {
        path,
        kind: 'merged',
        packs: tables,
        extentsOf: (ino) => {
          const first = places[merged.origin(ino).layer] ?? assert.fail()
          return merged.extents(ino).map((extent) => ({ ...extent, pack: first + extent.pack - 1 }))
        },
      })
      return Index.open(path)
    } finally {
      merged.close()
    }
  }

  contentOf(index: Index, pack: number, rawOffset: number, length: number): Uint8Array {
    const { digest, frames } = index.packTable(pack)
    let raw = this.#raw.get(digest)
    if (raw === undefined) {
      const bytes = this.store.packs.get(digest) ?? assert.fail()
      const reader = PackReader.open(accessOf(bytes), digest)
      raw = Buffer.concat(frames.map((_, i) => Buffer.from(reader.readFrame(i))))
      this.#raw.set(digest, raw)
    }
    return raw.subarray(rawOffset, rawOffset + length)
  }

  close(): void {
    for (const index of this.indexes) index.close()
    rmSync(this.#folder, { recursive: true })
  }
}

describe('published layers', () => {
  let stack: LayerStack
  let layers: BuiltLayer[]

  before(async () => {
    stack = await LayerStack.build(EVERYTHING.map((members) => tarOf(...members)))
    layers = []
    for (const members of EVERYTHING) layers.push(await buildLayer(...members))
  })

  after(() => {
    stack.close()
    for (const layer of layers) layer.close()
  })

  for (const form of ['as they are', 'resolved above each other'] as const) {
    it(`merge into the same tree when they were published ${form}`, async () => {
      const image = new PublishedImage()
      try {
        const below: ResolvedLayer[] = []
        for (const layer of layers) {
          const resolved = ResolvedLayer.create(layer.tree, below)
          below.push(resolved)
          await image.add(layer, form === 'as they are' ? layer.tree : resolved)
        }
        const merged = image.merge()
        try {
          const published = dumpTree(merged, (_, offset, length, pack) =>
            image.contentOf(merged, pack, offset, length),
          )
          assert.deepEqual(published, stack.dump(100))
        } finally {
          merged.close()
        }
      } finally {
        image.close()
      }
    })
  }

  it('have the digests they had when they were published first', async () => {
    const image = new PublishedImage()
    try {
      const digests: string[] = []
      for (const layer of layers) digests.push((await image.add(layer, layer.tree)).slice(7, 23))
      assert.deepEqual(digests, GOLDEN)
    } finally {
      image.close()
    }
  })

  it('give every inode of a merged tree its origin', () => {
    for (const [name, layer] of [
      ['usr', 3],
      ['lib', 2],
      ['hard', 4],
      ['absolute', 4],
      ['twice', 0],
    ] as const) {
      const ino = stack.tree.lookup(1, Buffer.from(name)) ?? assert.fail(name)
      const origin = stack.tree.origin(ino)
      assert.equal(origin.layer, layer, name)
      assert.equal(stack.layers[layer]?.lookup(1, Buffer.from(name)), origin.ino)
    }
    assert.deepEqual(stack.tree.origin(1), { layer: 4, ino: 1 })
  })

  it('merge into an empty root when there are none', () => {
    const merged = MergedTree.create([])
    try {
      const dump = dumpTree(merged, () => assert.fail())
      assert.deepEqual(Object.keys(dump), ['.'])
      assert.deepEqual([dump['.']?.mode, dump['.']?.nlink], ['40755', 2])
    } finally {
      merged.close()
    }
  })
})

/**
 * The first 16 hex digits of the digest of each layer's index. They change when the rules change.
 */
const GOLDEN = [
  '69a552c9a6cfd4d7',
  'a44413ab1927740a',
  'a8a09854e5c02e8b',
  '0d9cb57a0a916d14',
  '782a95e6a9c5f1ae',
]
