/**
 * Tests startup pages: an index with only these pages answers like the whole index, or not at all.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  bytesFromStartupPages,
  digestOf,
  Index,
  IndexFormatError,
  type PackTable,
  ROOT_INO,
  startupPagesFromBytes,
  startupPagesOf,
  writeIndex,
} from '../../../index-format/index.js'
import { FrameEncoder } from '../../../index-format/pack/frame-codec.js'
import { MemoryTree } from './memory-tree.js'

const PAGE_BYTES = 4096
const DIRECTORIES = 60
const FILES = 60
const FRAME_BYTES = 1000
const PACKS = [packOf('content', 3_000), packOf('other content', 900), packOf('startup', 40)]
const STARTUP = PACKS[2]

describe('startup pages', () => {
  let folder: string
  let path: string
  let whole: Index
  let partial: Index
  /**
   * Inode numbers of two directories in which the start looks names up, and of a file that it
   * reads.
   */
  let looked: number[]
  let read: number

  before(() => {
    assert.ok(STARTUP !== undefined)
    folder = mkdtempSync(join(tmpdir(), 'thin-startup-pages-'))
    path = join(folder, 'index')
    const { tree, startupFile, directories } = largeTree()
    writeIndex(tree, { path, kind: 'merged', packs: PACKS })
    whole = Index.open(path)
    // The writer assigns new inode numbers.
    read = inoOf(startupFile)
    looked = [directories[3], directories[41]].map((directory) => inoOf(directory ?? ''))
    partial = openPartial(
      startupPagesOf(path, {
        directories: looked,
        files: new Map([[read, Buffer.from(startupFile)]]),
      }),
    )
  })

  after(() => {
    partial.close()
    whole.close()
    rmSync(folder, { recursive: true })
  })

  it('list and find everything in the directories that were looked into', () => {
    for (const parent of [ROOT_INO, ...looked]) {
      const listing = whole.readdirPlus(parent, 0, 10_000)
      assert.deepEqual(partial.readdirPlus(parent, 0, 10_000), listing)
      assert.deepEqual(partial.readdir(parent, 0, 10_000), whole.readdir(parent, 0, 10_000))
      for (const { name, inode } of listing) {
        assert.deepEqual(partial.lookupInode(parent, name), inode)
        assert.equal(partial.lookup(parent, Buffer.concat([name, Buffer.from('~')])), undefined)
      }
      for (const absent of ['\x01', '\xff\xff', 'n']) {
        assert.equal(partial.lookup(parent, Buffer.from(absent, 'latin1')), undefined)
      }
    }
  })

  it('say where the content of the files is, and what frames it is in', () => {
    assert.ok(STARTUP !== undefined)
    assert.deepEqual(partial.extents(read), whole.extents(read))
    assert.equal(partial.extents(read).length, 3)
    assert.deepEqual(partial.packs(), whole.packs())
    const key = partial.packKeyOf(STARTUP.digest)
    assert.ok(key !== undefined)
    assert.deepEqual(partial.packTable(key), STARTUP)
    for (const { pack } of partial.extents(read)) {
      assert.deepEqual(partial.packTable(pack), whole.packTable(pack))
    }
    assert.deepEqual(partial.meta, whole.meta)
  })

  it('answer as the whole index does, or not at all', () => {
    const counts = answersOf(partial)
    assert.ok(counts.given > 500, `${counts.given} answers`)
    assert.ok(counts.missing > 5_000, `${counts.missing} missing`)
  })

  it('answer so whichever pages are here', () => {
    const bytes = readFileSync(path)
    let seed = 1
    for (const share of [0.1, 0.5, 0.9]) {
      const numbers = [1]
      for (let number = 2; number <= bytes.length / PAGE_BYTES; number++) {
        seed = (seed * 48_271) % 0x7fffffff
        // Page 2 has the table of totals. Without it no index can be opened.
        if (number === 2 || seed / 0x7fffffff < share) numbers.push(number)
      }
      const some = openPartial({ numbers, bytes: pagesOf(bytes, numbers) })
      answersOf(some)
      some.close()
    }
  })

  it('are far fewer than the index has', () => {
    const pages = startupPagesOf(path, { directories: looked, files: new Map() })
    assert.ok(pages.bytes.length * 5 < readFileSync(path).length)
  })

  it('come back from their bytes, which are the same every time', () => {
    const pages = startupPagesOf(path, { directories: looked, files: new Map() })
    const bytes = bytesFromStartupPages(pages)
    assert.deepEqual(bytesFromStartupPages(pages), bytes)
    assert.deepEqual(startupPagesFromBytes(bytes, readFileSync(path).length), pages)
  })

  it('are refused where they are not those of an index of that size', () => {
    const page = Buffer.alloc(PAGE_BYTES)
    const hostile: [string, Buffer][] = [
      ['nothing', Buffer.alloc(0)],
      ['no page', numbered([])],
      ['a page less than it says', Buffer.concat([numbered([1, 2]), page])],
      ['a page more than it says', Buffer.concat([numbered([1]), page, page])],
      ['page 0', Buffer.concat([numbered([0]), page])],
      ['the same page twice', Buffer.concat([numbered([1, 1]), page, page])],
      ['pages in another order', Buffer.concat([numbered([2, 1]), page, page])],
      ['a page behind the end', Buffer.concat([numbered([1, 3]), page, page])],
      ['more pages than there are bytes', Buffer.concat([Buffer.alloc(4, 0xff), page])],
    ]
    for (const [what, document] of hostile) {
      const bytes = new FrameEncoder().encode(document, 3)
      assert.throws(
        () => startupPagesFromBytes(bytes, 2 * PAGE_BYTES),
        { code: 'invalid-index' },
        what,
      )
    }
    const large = new FrameEncoder().encode(Buffer.alloc(33 * 1024 * 1024), 3)
    assert.throws(() => startupPagesFromBytes(large, 2 ** 40), { code: 'limit-exceeded' })
    assert.throws(() => startupPagesFromBytes(Buffer.from('no zstd'), PAGE_BYTES), {
      code: 'invalid-compression',
    })
  })

  /**
   * Compares all answers of `index` with those of the whole index. A missing answer must be an
   * error with the code `incomplete-index`. Returns the numbers of given and missing answers.
   */
  function answersOf(index: Index): { given: number; missing: number } {
    const counts = { given: 0, missing: 0 }
    const compare = (ask: (of: Index) => unknown): void => {
      let answer: unknown
      try {
        answer = ask(index)
      } catch (error) {
        assert.ok(
          error instanceof IndexFormatError && error.code === 'incomplete-index',
          String(error),
        )
        counts.missing++
        return
      }
      counts.given++
      assert.deepEqual(answer, ask(whole))
    }
    for (let ino = 1; ino <= whole.meta.inodes + 1; ino++) {
      compare((of) => of.inode(ino))
      compare((of) => of.readdirPlus(ino, 0, 10_000))
      compare((of) => of.readdir(ino, 5, 7))
      compare((of) => of.lookup(ino, Buffer.from('name-7')))
      compare((of) => of.lookupInode(ino, Buffer.from('name-7~')))
      compare((of) => of.readlink(ino))
      compare((of) => of.extents(ino))
      compare((of) => of.xattrs(ino))
      compare((of) => of.xattr(ino, Buffer.from('user.x')))
    }
    compare((of) => of.packs())
    for (let key = 1; key <= PACKS.length; key++) compare((of) => of.packTable(key))
    return counts
  }

  /** Opens an index file with these pages, and with zeroes in place of all others. */
  function openPartial(pages: { numbers: readonly number[]; bytes: Uint8Array }): Index {
    const file = Buffer.alloc(readFileSync(path).length)
    for (const [at, number] of pages.numbers.entries()) {
      const page = pages.bytes.subarray(at * PAGE_BYTES, (at + 1) * PAGE_BYTES)
      file.set(page, (number - 1) * PAGE_BYTES)
    }
    const partialPath = join(folder, `partial-${pages.numbers.length}`)
    writeFileSync(partialPath, file)
    return Index.open(partialPath, { isPartial: true })
  }

  function inoOf(text: string): number {
    let ino: number | undefined = ROOT_INO
    for (const name of text.split('/')) ino = ino && whole.lookup(ino, Buffer.from(name))
    assert.ok(ino !== undefined, text)
    return ino
  }
})

function pagesOf(bytes: Buffer, numbers: readonly number[]): Buffer {
  return Buffer.concat(
    numbers.map((number) => bytes.subarray((number - 1) * PAGE_BYTES, number * PAGE_BYTES)),
  )
}

function numbered(numbers: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * (1 + numbers.length))
  for (const [at, value] of [numbers.length, ...numbers].entries())
    bytes.writeUInt32LE(value, 4 * at)
  return bytes
}

/**
 * A tree with files of one extent and of several, and with symbolic links whose targets are so long
 * that they need pages of their own.
 */
function largeTree(): { tree: MemoryTree; startupFile: string; directories: string[] } {
  const tree = new MemoryTree()
  const directories: string[] = []
  for (let i = 0; i < DIRECTORIES; i++) {
    const directory = `directory-${i}`
    directories.push(directory)
    tree.directory(directory)
    for (let j = 0; j < FILES; j++) {
      const at = ((i * FILES + j) % 2_999) * FRAME_BYTES
      const extents =
        j % 3 === 0
          ? [extent(0, 700, 0, at), extent(4096, 300, 1, (at / FRAME_BYTES) % 899)]
          : [extent(0, 1000, 0, at)]
      tree.file(`${directory}/name-${j}`, 4396, extents)
    }
    tree.symlink(`${directory}/short`, '../elsewhere')
    tree.symlink(`${directory}/long`, `/${'very/'.repeat(817)}`)
  }
  const startupFile = 'directory-50/start'
  const parts = [extent(0, 4096, 2, 0), extent(4096, 700, 0, 0), extent(8192, 300, 2, 4096)]
  tree.file(startupFile, 8492, parts)
  return { tree, startupFile, directories }
}

function extent(offset: number, length: number, pack: number, rawOffset: number) {
  return { offset, length, pack, rawOffset }
}

/** The table of a pack with `count` frames. The tests never read the pack's content. */
function packOf(name: string, count: number): PackTable {
  const frames = Array.from({ length: count }, (_, at) => ({
    rawOffset: at * FRAME_BYTES,
    rawSizeBytes: FRAME_BYTES,
    offset: at * 10,
    sizeBytes: 10,
    digest: digestOf(Buffer.from(`${name} ${at}`)),
  }))
  const digest = digestOf(Buffer.from(name))
  return { digest, sizeBytes: count * 10 + 100, rawSizeBytes: count * FRAME_BYTES, frames }
}
