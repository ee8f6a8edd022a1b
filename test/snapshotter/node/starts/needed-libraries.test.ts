/**
 * Tests which libraries of real programs are fetched ahead, against the output of the dynamic
 * loader.
 */
import assert from 'node:assert/strict'
import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  ContentStore,
  createContentStats,
  type TreeRecord,
  TreeRegistry,
} from '../../../../fusefs/index.js'
import { Index, type Inode } from '../../../../index-format/index.js'
import { NeededLibraries } from '../../../../snapshotter/node/starts/needed-libraries.js'
import { StoreSources } from '../../../../snapshotter/stores/store-sources.js'
import { TreeFileContent } from '../../../../snapshotter/node/starts/tree-file-content.js'
import { readElfNeeds } from '../../../../snapshotter/trees/elf-file.js'
import { fileAt } from '../../../../snapshotter/trees/library-search.js'
import { anonymous } from '../../../../snapshotter/images/registry/credentials.js'
import { runProgram } from '../../../sandbox/program.js'
import { publishTree, type PublishedTree } from '../../inspect/published-tree.js'

/** A program with a library that has megabytes of code. */
const PROGRAM = '/usr/bin/openssl'
const DATA = '/srv/data'
const BROKEN = '/srv/broken'
const PLUGINS = ['a', 'b', 'c', 'd', 'e'].map((name) => `/opt/plugins/${name}.so`)
const ELF_HEAD = Buffer.from('\x7fELF and more')
const log = { error() {}, warn() {}, info() {}, debug() {} }
const never = new AbortController().signal

describe('NeededLibraries', () => {
  let folder: string
  let published: PublishedTree
  let index: Index
  /** The libraries that the program loads, according to ld.so. */
  let libraries: string[]
  let registry: TreeRegistry
  let sources: StoreSources
  let content: ContentStore
  let tree: TreeRecord
  let needed: NeededLibraries

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'thin-needed-libraries-'))
    const { stdout } = await runProgram(['ldd', PROGRAM])
    const named = [...stdout.matchAll(/=> (\/\S+) \(0x/g)].map((match) => match[1] ?? '')
    libraries = named.map((path) => realpathSync(path))
    assert.ok(libraries.length >= 2, stdout)
    const files = [PROGRAM, ...libraries].map((path) => ({ path, body: readFileSync(path) }))
    published = await publishTree(join(folder, 'store'), [
      ...files.map(({ path, body }) => ({ path: path.slice(1), body })),
      { path: DATA.slice(1), body: Buffer.alloc(300_000, 'data') },
      { path: BROKEN.slice(1), body: Buffer.from('\x7fELF\x02\x01 and no more') },
      ...PLUGINS.map((path) => ({ path: path.slice(1), body: Buffer.alloc(300_000, path) })),
      { path: 'lib', type: '2', link: 'usr/lib' },
      ...named
        .filter((path) => usr(path) !== realpathSync(path))
        .map((path) => ({ path: usr(path).slice(1), type: '2', link: realpathSync(path) })),
    ])
    published.layer.close()
    index = Index.open(published.indexPath)
  })

  after(() => {
    index.close()
    rmSync(folder, { recursive: true })
  })

  beforeEach(async () => {
    registry = TreeRegistry.open({ dir: join(folder, 'trees') })
    copyFileSync(published.indexPath, registry.indexPath(published.ref.digest))
    const stores = [published.storeUrl]
    tree = registry.register({ indexDigest: published.ref.digest, class: 'plain', stores })
    const stats = createContentStats()
    sources = StoreSources.create(
      {
        ...{ allow: ['file:///'], mirrors: [], registries: new Map() },
        ...{ limits: {}, certificateAuthorities: [] },
      },
      { credentials: anonymous, log, stats },
    )
    content = await ContentStore.open({ cacheDir: join(folder, 'cache') }, { log, stats })
    needed = new NeededLibraries({}, { registry, content, sources, log })
  })

  afterEach(async () => {
    await needed.close()
    await content.close()
    await sources.close()
    registry.close()
    for (const name of ['trees', 'cache']) rmSync(join(folder, name), { recursive: true })
  })

  it('brings in what a program needs, and what that needs, before anybody asks', async () => {
    needed = new NeededLibraries(
      { maxWholeBytes: 64 * 1024 * 1024 },
      { registry, content, sources, log },
    )
    begin(PROGRAM)
    await needed.settled()
    await withoutStore(async () => {
      for (const path of libraries) await assertIsHere(path)
      await assert.rejects(read(DATA), { code: 'blob-not-found' })
    })
  })

  it('takes of large ones only what loading reads', async () => {
    const { length } = readFileSync(largest(libraries))
    needed = new NeededLibraries({ maxWholeBytes: length - 1 }, { registry, content, sources, log })
    begin(PROGRAM)
    await needed.settled()
    await withoutStore(async () => {
      const small = libraries.filter((path) => path !== largest(libraries))
      for (const path of small) await assertIsHere(path)
      await read(largest(libraries), 4096)
      await assert.rejects(read(largest(libraries)), { code: 'blob-not-found' })
    })
  })

  it('does so once for each file', async () => {
    begin(PROGRAM)
    await needed.settled()
    const { framesPrefetched } = content.stats
    assert.ok(framesPrefetched > 0)
    for (const path of [PROGRAM, ...libraries]) begin(path)
    await needed.settled()
    assert.equal(content.stats.framesPrefetched, framesPrefetched)
  })

  it('brings in what else is in a directory of plugins once three were waited for', async () => {
    const [a = '', b = '', c = '', d = '', e = ''] = PLUGINS
    for (const path of [b, c]) begin(path)
    await needed.settled()
    await withoutStore(async () => assert.rejects(read(a), { code: 'blob-not-found' }))
    begin(d)
    await needed.settled()
    await withoutStore(async () => {
      for (const path of [a, e]) await read(path)
    })
  })

  it('leaves alone what only data begins with, and what is no library after all', async () => {
    needed.onHead({ slot: tree.slot, ino: inodeOf(DATA).ino }, Buffer.from('data'))
    needed.onHead({ slot: tree.slot, ino: inodeOf(DATA).ino }, Buffer.from('\x7fE'))
    await needed.settled()
    assert.equal(content.stats.framesPrefetched, 0)
    begin(BROKEN)
    await needed.settled()
    const { framesPrefetched } = content.stats
    needed.onHead({ slot: tree.slot, ino: 1_000_000 }, ELF_HEAD)
    needed.onHead({ slot: tree.slot + 1, ino: inodeOf(PROGRAM).ino }, ELF_HEAD)
    await needed.settled()
    assert.equal(content.stats.framesPrefetched, framesPrefetched, 'what is no file of a tree')
  })

  it('leaves things as they were where the store is away', async () => {
    await withoutStore(async () => {
      begin(PROGRAM)
      await needed.settled()
    })
    await read(DATA)
  })

  it('bears a store that goes away between the head of a library and the rest', async () => {
    needed = new NeededLibraries(
      { maxWholeBytes: 64 * 1024 * 1024 },
      { registry, content, sources, log },
    )
    const files = new TreeFileContent({ index, content, source: sources.for(tree.stores) }, never)
    for (const path of [PROGRAM, ...libraries]) {
      await readElfNeeds(files.readerOf(inodeOf(path)))
    }
    await withoutStore(async () => {
      begin(PROGRAM)
      await needed.settled()
    })
    await assertIsHere(largest(libraries))
  })

  it('gives up what is under way with its tree, and when it is closed', async () => {
    begin(PROGRAM)
    needed.cancel([tree.slot])
    await needed.settled()
    await withoutStore(async () => {
      const last = libraries.at(-1) ?? ''
      await assert.rejects(read(last), { code: 'blob-not-found' })
    })
    begin(libraries[0] ?? '')
    await needed.close()
    await needed.close()
  })

  function begin(path: string): void {
    needed.onHead({ slot: tree.slot, ino: inodeOf(path).ino }, ELF_HEAD)
  }

  function inodeOf(path: string): Inode {
    const inode = fileAt(index, path)
    assert.ok(inode, path)
    return inode
  }

  async function read(path: string, length?: number): Promise<Uint8Array> {
    const inode = inodeOf(path)
    const files = new TreeFileContent({ index, content, source: sources.for(tree.stores) }, never)
    return files.readerOf(inode)(0, length ?? inode.sizeBytes)
  }

  async function assertIsHere(path: string): Promise<void> {
    assert.ok(Buffer.from(await read(path)).equals(readFileSync(path)), path)
  }

  async function withoutStore(use: () => Promise<void>): Promise<void> {
    const away = `${published.folder}-away`
    renameSync(published.folder, away)
    try {
      await use()
    } finally {
      renameSync(away, published.folder)
    }
  }
})

function largest(paths: readonly string[]): string {
  const [first = ''] = [...paths].sort((a, b) => statSync(b).size - statSync(a).size)
  return first
}

/** Puts a path below /usr, as on Debian with merged /usr. */
function usr(path: string): string {
  return path.startsWith('/usr/') ? path : `/usr${path}`
}
