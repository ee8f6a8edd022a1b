/**
 * The pages of an index that a start reads. They are in the thin layer, so that a node can serve
 * the start before it has the whole index; see FORMAT.md, "Startup pages". Their form is one zstd
 * frame: the number of pages, the page numbers in ascending order (32 bits each, little-endian),
 * and the pages themselves.
 */
import { decompressedFrame, tooLarge } from '../compression/bounded-frame.js'
import { IndexFormatError } from '../errors.js'
import { MAX_STARTUP_PAGES_BYTES } from '../limits.js'
import { FrameEncoder } from '../pack/frame-codec.js'
import { ROOT_INO } from '../tree/tree.js'
import { openConnection, rootPages } from './connection.js'
import { Index } from './index-file.js'
import { UnreadablePage } from './pages/unreadable-page.js'
import { PageCache } from './pages/page-cache.js'
import { PageFile } from './pages/page-file.js'
import { PageWalk } from './pages/page-walk.js'
import { PAGE_BYTES } from './schema.js'

/** The questions that a start asks of an index. */
export interface StartupQuestions {
  /**
   * Inode numbers of the directories in which the start looks up or lists names, in any order. The
   * directories that lead to `files` need not be named.
   */
  readonly directories: Iterable<number>
  /**
   * The files that the start reads: paths by inode number, as in a startup plan. The pages cover
   * all content of these files.
   */
  readonly files: ReadonlyMap<number, Uint8Array>
}

export interface StartupPages {
  /** Page numbers, from 1 on, ascending. */
  readonly numbers: readonly number[]
  /** The pages in the order of `numbers`, 4096 bytes each. */
  readonly bytes: Uint8Array
}

const LEVEL = 19
const NUMBER_BYTES = 4
const CACHE_PAGES = 1024
const LIMIT = { maxBytes: MAX_STARTUP_PAGES_BYTES, what: 'startup pages' }

/**
 * The pages of the index at `path` that answer `questions`. The index must have no extended
 * attributes. Throws `invalid-index`.
 */
export function startupPagesOf(path: string, questions: StartupQuestions): StartupPages {
  const index = Index.open(path)
  const connection = openConnection(path, 0)
  const file = PageFile.open(path, new PageCache({ maxPages: CACHE_PAGES }))
  try {
    const walk = new PageWalk({ roots: rootPages(connection) }, { pages: file })
    walk.table('meta', 'index')
    walk.table('pack', 'table')
    const directories = new Set([ROOT_INO, ...questions.directories])
    for (const path of questions.files.values()) addParents(index, path, directories)
    for (const ino of directories) walk.directory(ino)
    walk.rows('extent', questions.files.keys())
    const inos = [...questions.files.keys()]
    const packs = new Set(inos.flatMap((ino) => index.extents(ino).map(({ pack }) => pack)))
    walk.rows('frame', packs)
    // Page 1 has the schema. It is not an ordinary page of a B-tree, so that no walk visits it.
    const numbers = [1, ...walk.seen]
    return { numbers, bytes: Buffer.concat(numbers.map((number) => file.bytes(number))) }
  } catch (cause) {
    if (!(cause instanceof UnreadablePage)) throw cause
    const message = `read index ${path}: a page that is none of its tables'`
    throw new IndexFormatError('invalid-index', message, { cause })
  } finally {
    file.close()
    connection.close()
    index.close()
  }
}

/** The pages as one zstd frame. The same pages give the same bytes. Throws `limit-exceeded`. */
export function bytesFromStartupPages({ numbers, bytes }: StartupPages): Uint8Array {
  const header = Buffer.alloc(NUMBER_BYTES * (1 + numbers.length))
  header.writeUInt32LE(numbers.length, 0)
  for (const [at, number] of numbers.entries()) {
    header.writeUInt32LE(number, NUMBER_BYTES * (1 + at))
  }
  const document = Buffer.concat([header, bytes])
  if (document.length > LIMIT.maxBytes) throw tooLarge(document.length, LIMIT)
  return new FrameEncoder().encode(document, LEVEL)
}

/**
 * Parses the startup pages of an index file of `indexBytes`. Throws `invalid-compression`,
 * `limit-exceeded`, and `invalid-index` if they cannot be pages of a file of this size.
 */
export function startupPagesFromBytes(compressed: Uint8Array, indexBytes: number): StartupPages {
  const document = decompressedFrame(compressed, LIMIT)
  const count = document.length < NUMBER_BYTES ? 0 : document.readUInt32LE(0)
  const pagesAt = NUMBER_BYTES * (1 + count)
  if (count === 0 || document.length !== pagesAt + count * PAGE_BYTES) {
    throw refused(`${document.length} bytes for ${count} pages`)
  }
  const numbers: number[] = []
  for (let at = NUMBER_BYTES; at < pagesAt; at += NUMBER_BYTES) {
    const number = document.readUInt32LE(at)
    if (number <= (numbers.at(-1) ?? 0) || number * PAGE_BYTES > indexBytes) {
      throw refused(
        `page ${number} after ${numbers.at(-1) ?? 0}, of an index of ${indexBytes} bytes`,
      )
    }
    numbers.push(number)
  }
  return { numbers, bytes: document.subarray(pagesAt) }
}

function refused(why: string): IndexFormatError {
  return new IndexFormatError('invalid-index', `startup pages: ${why}`)
}

/** Adds the directories that lead to the file at `path`. */
function addParents(index: Index, path: Uint8Array, directories: Set<number>): void {
  const names = Buffer.from(path).toString('latin1').split('/')
  let ino: number | undefined = ROOT_INO
  for (const name of names.slice(0, -1)) {
    ino = index.lookup(ino, Buffer.from(name, 'latin1'))
    if (ino === undefined) return
    directories.add(ino)
  }
}
