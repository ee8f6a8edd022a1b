import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import {
  checkIndex,
  type DirEntry,
  digestOf,
  Index,
  type IndexFormatErrorCode,
  packInputsOf,
  type PackTable,
  ROOT_INO,
  type Tree,
  writeIndex,
} from '../../../index-format/index.js'
import { Random } from '../pack/random.js'
import { MemoryTree, type NodeOptions } from './memory-tree.js'

const PACK: PackTable = {
  digest: digestOf(Buffer.from('pack')),
  sizeBytes: 2000,
  rawSizeBytes: 1000,
  frames: [
    {
      rawOffset: 0,
      rawSizeBytes: 1000,
      offset: 0,
      sizeBytes: 500,
      digest: digestOf(Buffer.from('frame')),
    },
  ],
}

/**
 * Compares two trees name by name. An inode number of one tree must always correspond to the same
 * inode number of the other.
 */
function assertSameTree(actual: Tree, expected: Tree, packOffset: number): void {
  const pairs = new Map<number, number>()
  const queue: [number, number][] = [[ROOT_INO, ROOT_INO]]
  for (const [mine, theirs] of queue) {
    const known = pairs.get(mine)
    if (known !== undefined) {
      assert.equal(known, theirs, 'hard links stay together')
      continue
    }
    pairs.set(mine, theirs)
    assert.deepEqual({ ...actual.inode(mine), ino: 0 }, { ...expected.inode(theirs), ino: 0 })
    assert.deepEqual(actual.readlink(mine), expected.readlink(theirs))
    assert.deepEqual(actual.xattrs(mine), expected.xattrs(theirs))
    const moved = actual.extents(mine).map((run) => ({ ...run, pack: run.pack + packOffset }))
    assert.deepEqual(moved, expected.extents(theirs))
    const names = expected.readdir(theirs, 0, 100_000)
    const found = actual.readdir(mine, 0, 100_000)
    assert.deepEqual(
      found.map(({ name, mode, cookie }) => ({ name: Buffer.from(name), mode, cookie })),
      names.map(({ name, mode, cookie }) => ({ name: Buffer.from(name), mode, cookie })),
    )
    found.forEach((entry, at) => {
      assert.equal(actual.lookup(mine, entry.name), entry.ino)
      queue.push([entry.ino, names[at]?.ino ?? 0])
    })
  }
}

function randomTree(random: Random): MemoryTree {
  const tree = new MemoryTree()
  const directories = ['']
  const files: number[] = []
  const options = (): NodeOptions => ({
    mode: random.below(0o10000),
    uid: random.below(3) === 0 ? 2 ** 32 - 1 - random.below(5) : random.below(2000),
    mtimeSec: random.below(9_223_372_036),
    mtimeNsec: random.below(1_000_000_000),
    ...(random.below(4) === 0
      ? {
          xattrs: {
            [`user.${random.bytes(3).toString('hex')}`]: random.bytes(9).toString('latin1'),
          },
        }
      : {}),
  })
  for (let count = 0; count < 300; count++) {
    const parent = directories[random.below(directories.length)] ?? ''
    const name = random
      .bytes(1 + random.below(20))
      .toString('latin1')
      .replace(/[/\0]/g, '_')
    const path = `${parent}${name}${count}`
    const kind = random.below(6)
    if (kind === 0) {
      tree.directory(path, { ...options(), implied: random.below(2) === 0 })
      directories.push(`${path}/`)
    } else if (kind === 1) {
      tree.symlink(path, random.bytes(1 + random.below(100)).toString('latin1'))
    } else if (kind === 2) {
      tree.special(path, [0o020600, 0o060644, 0o010777, 0o140700][random.below(4)] ?? 0o010777, {
        rdev: random.below(2 ** 32),
      })
    } else if (kind === 3 && files.length > 0) {
      tree.link(path, files[random.below(files.length)] ?? 0)
    } else {
      const runs = []
      let end = 0
      for (let run = random.below(4); run > 0; run--) {
        const offset = end + random.below(2) * random.below(5000)
        const length = 1 + random.below(200)
        runs.push({ offset, length, pack: 0, rawOffset: random.below(800) })
        end = offset + length
      }
      files.push(tree.file(path, end + random.below(2) * random.below(9999), runs, options()))
    }
  }
  return tree
}

describe('writeIndex', () => {
  let folder: string
  let path: string
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'writer-'))
    path = join(folder, 'index')
  })
  afterEach(() => {
    rmSync(folder, { recursive: true })
  })

  const write = (tree: Tree, packs = [PACK]) => writeIndex(tree, { path, kind: 'layer', packs })

  it('keeps every random tree, and the check finds nothing in it', async () => {
    const seed = Date.now() & 0xffffff
    console.log(`      seed ${seed}`)
    const random = new Random(seed)
    for (let round = 0; round < 10; round++) {
      const tree = randomTree(random)
      const written = write(tree)
      const index = Index.open(path)
      assertSameTree(index, tree, -1)
      index.close()
      for await (const each of checkIndex(path, { digest: written.digest })) {
        assert.fail(`${each.code} ${each.where} ${each.detail}`)
      }
      rmSync(path)
      assert.equal(write(tree).digest, written.digest)
      rmSync(path)
    }
  })

  it('can be read by several threads at once', async () => {
    const tree = new MemoryTree()
    for (let count = 0; count < 500; count++) tree.symlink(`link ${count}`, `target ${count}`)
    write(tree)
    const module = new URL('../../../index-format/index.js', import.meta.url).href
    const script = `
      import { parentPort, workerData } from 'node:worker_threads'
      const { Index } = await import(workerData.module)
      const index = Index.open(workerData.path)
      let names = 0
      for (let cookie = 0; ; ) {
        const entries = index.readdirPlus(1, cookie, 7)
        if (entries.length === 0) break
        names += entries.length
        cookie = entries.at(-1).cookie
      }
      index.close()
      parentPort.postMessage(names)`
    const source = new URL(`data:text/javascript,${encodeURIComponent(script)}`)
    const counts = await Promise.all(
      [1, 2, 3].map(
        () =>
          new Promise((resolve, reject) => {
            const worker = new Worker(source, { workerData: { module, path } })
            worker.once('message', resolve)
            worker.once('error', reject)
          }),
      ),
    )
    assert.deepEqual(counts, [500, 500, 500])
  })

  it('refuses to overwrite a file', () => {
    write(new MemoryTree())
    assert.throws(() => write(new MemoryTree()), { code: 'invalid-index' })
    assert.ok(existsSync(path))
  })

  it('stops at a signal and leaves no file', () => {
    const signal = AbortSignal.abort(new Error('enough'))
    const options = { path, kind: 'layer', packs: [], signal } as const
    assert.throws(() => writeIndex(new MemoryTree(), options), /enough/)
    assert.ok(!existsSync(path))
  })

  const run = (offset: number, length: number, pack = 0, rawOffset = 0) => ({
    offset,
    length,
    pack,
    rawOffset,
  })
  it('refuses a directory that is below itself, or has two names', () => {
    const looped = new MemoryTree()
    looped.directory('a')
    const inner = looped.directory('a/b')
    looped.link('a/b/c', inner)
    assert.throws(() => write(looped), { code: 'invalid-index' })
    const doubled = new MemoryTree()
    doubled.link('b', doubled.directory('a'))
    assert.throws(() => write(doubled), { code: 'invalid-index' })
    assert.throws(() => [...packInputsOf(looped, () => undefined)], { code: 'invalid-layer' })
  })

  it('refuses a name with a slash', () => {
    class SlashedTree extends MemoryTree {
      override readdir(...args: Parameters<MemoryTree['readdir']>): DirEntry[] {
        return super.readdir(...args).map((entry) => ({ ...entry, name: Buffer.from('na/me') }))
      }
    }
    const tree = new SlashedTree()
    tree.symlink('name', 'x')
    assert.throws(() => write(tree), { code: 'invalid-index', message: /holds a slash/ })
  })

  const refusals: [string, IndexFormatErrorCode, (tree: MemoryTree) => void][] = [
    ['a name of 256 bytes', 'limit-exceeded', (tree) => tree.symlink('n'.repeat(256), 'x')],
    ['an unknown file type', 'invalid-index', (tree) => tree.special('f', 0o030644)],
    ['the name "."', 'invalid-index', (tree) => tree.symlink('.', 'x')],
    ['the name ".."', 'invalid-index', (tree) => tree.symlink('..', 'x')],
    ['a name with a NUL', 'invalid-index', (tree) => tree.symlink('a\0b', 'x')],
    ['a target of 4096 bytes', 'limit-exceeded', (tree) => tree.symlink('l', 'x'.repeat(4096))],
    ['an empty target', 'limit-exceeded', (tree) => tree.symlink('l', '')],
    ['a negative uid', 'limit-exceeded', (tree) => tree.special('f', 0o010600, { uid: -1 })],
    [
      'a gid over 32 bits',
      'limit-exceeded',
      (tree) => tree.special('f', 0o010600, { gid: 2 ** 32 }),
    ],
    ['an nlink of 0', 'limit-exceeded', (tree) => tree.special('f', 0o010600, { nlink: 0 })],
    ['a time before 1970', 'limit-exceeded', (tree) => tree.symlink('l', 'x', { mtimeSec: -1 })],
    ['10^9 nanoseconds', 'limit-exceeded', (tree) => tree.symlink('l', 'x', { mtimeNsec: 1e9 })],
    ['half a second', 'limit-exceeded', (tree) => tree.symlink('l', 'x', { mtimeSec: 0.5 })],
    [
      'a size over 2^53',
      'limit-exceeded',
      (tree) => {
        tree.change(tree.file('f', 0, []), { sizeBytes: 2 ** 53 })
      },
    ],
    [
      'an attribute name of 256 bytes',
      'limit-exceeded',
      (tree) => tree.symlink('l', 'x', { xattrs: { ['u'.repeat(256)]: '' } }),
    ],
    [
      'an attribute value over 64 KiB',
      'limit-exceeded',
      (tree) => tree.symlink('l', 'x', { xattrs: { 'user.a': 'v'.repeat(65_537) } }),
    ],
    [
      'attribute names over 64 KiB in all',
      'limit-exceeded',
      (tree) => {
        const names = Array.from({ length: 300 }, (_, at) => `user.${'n'.repeat(240)}${at}`)
        tree.symlink('l', 'x', { xattrs: Object.fromEntries(names.map((name) => [name, ''])) })
      },
    ],
    [
      'more than 1024 attributes',
      'limit-exceeded',
      (tree) => {
        const names = Array.from({ length: 1025 }, (_, at) => [`user.${at}`, ''] as const)
        tree.symlink('l', 'x', { xattrs: Object.fromEntries(names) })
      },
    ],
    ['an extent in an unknown pack', 'invalid-index', (tree) => tree.file('f', 1, [run(0, 1, 1)])],
    ['an empty extent', 'invalid-index', (tree) => tree.file('f', 1, [run(0, 0)])],
    ['a negative offset', 'invalid-index', (tree) => tree.file('f', 1, [run(-1, 1)])],
    ['an extent after its file', 'invalid-index', (tree) => tree.file('f', 9, [run(5, 5)])],
    ['an extent after its pack', 'invalid-index', (tree) => tree.file('f', 9, [run(0, 9, 0, 992)])],
    ['overlapping extents', 'invalid-index', (tree) => tree.file('f', 99, [run(0, 5), run(4, 5)])],
    ['unsorted extents', 'invalid-index', (tree) => tree.file('f', 9, [run(5, 2), run(0, 2)])],
    [
      'extents that are not the stored bytes',
      'invalid-index',
      (tree) => {
        tree.change(tree.file('f', 9, [run(0, 5)]), { storedBytes: 6 })
      },
    ],
    [
      'a target that is not as long as its link',
      'invalid-index',
      (tree) => {
        tree.change(tree.symlink('l', 'target'), { sizeBytes: 7 })
      },
    ],
    [
      'a root that is no directory',
      'invalid-index',
      (tree) => {
        tree.change(ROOT_INO, { mode: 0o100644 })
      },
    ],
  ]
  for (const [what, code, make] of refusals) {
    it(`refuses ${what}, and leaves no file`, () => {
      const tree = new MemoryTree()
      make(tree)
      assert.throws(() => write(tree), { name: 'IndexFormatError', code })
      assert.ok(!existsSync(path))
    })
  }
})
