/**
 * The pages of an index that a start looks at. They travel with the image, so that a node can serve
 * the start before it has the whole index; FORMAT.md, "Startup pages". One zstd frame: how many pages
 * there are, their numbers in ascending order (32 bits each, little-endian), then the pages.
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

/** What a start asks an index. */
export interface StartupQuestions {
  /** Inodes of directories in which it looks, ascending or not; those that lead to `files` need not be named. */
  readonly directories: Iterable<number>
  /** Of the files that it reads: inode and path, as in a startup plan. All of their content can be read. */
  readonly files: ReadonlyMap<number, Uint8Array>
}

export interface StartupPages {
  /** From 1 on, ascending. */
  readonly numbers: readonly number[]
  /** As many pages of 4096 bytes, one after the other. */
  readonly bytes: Uint8Array
}

const LEVEL = 19
const NUMBER_BYTES = 4
const CACHE_PAGES = 1024
const LIMIT = { maxBytes: MAX_STARTUP_PAGES_BYTES, what: 'startup pages' }

/** What `questions` need of the index at `path`, which must have no attributes. Throws `invalid-index`. */
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
    // The first page has the schema, and is no page of a tree like the others.
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

/** The same pages give the same bytes. Throws `limit-exceeded`. */
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
 * Pages of an index of `indexBytes`. Throws `invalid-compression`, `limit-exceeded`, and `invalid-index`
 * where they are not pages of such an index.
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

/** The directories that lead to a file. */
function addParents(index: Index, path: Uint8Array, directories: Set<number>): void {
  const names = Buffer.from(path).toString('latin1').split('/')
  let ino: number | undefined = ROOT_INO
  for (const name of names.slice(0, -1)) {
    ino = index.lookup(ino, Buffer.from(name, 'latin1'))
    if (ino === undefined) return
    directories.add(ino)
  }
}
