/** Reads the bytes of one file of a tree through the content tiers, in order. */
import type { BlobSource, ContentStore } from '../../fusefs/index.js'
import type { Extent, Index, PackTable } from '../../index-format/index.js'

/** Largest chunk. */
const CHUNK_BYTES = 1024 * 1024
/** Pack tables that are kept in memory. */
const MAX_TABLES = 4

export interface FileReaderModules {
  readonly index: Index
  readonly store: BlobSource
  readonly content: ContentStore
}

/**
 * Streams the file with inode number `ino`. Holes are zeros. While the caller uses one chunk, the
 * next is read. Throws the errors of the content store, and `invalid-index` for extents that make
 * no sense.
 */
export async function* readFileOf(
  ino: number,
  modules: FileReaderModules,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const sizeBytes = modules.index.inode(ino)?.sizeBytes ?? 0
  const runs = runsOf(modules.index.extents(ino), sizeBytes)
  const tables = new Map<number, PackTable>()
  const read = (run: Run): Promise<Uint8Array> => {
    const reading = readRun(run, tableOf(modules.index, tables, run.pack), modules, signal)
    // A failure is thrown when its chunk is awaited. Until then it must not count as unhandled.
    reading.catch(() => undefined)
    return reading
  }
  let ahead: Promise<Uint8Array> | undefined
  for (const run of runs) {
    const current = ahead
    ahead = read(run)
    if (current !== undefined) yield await current
  }
  if (ahead !== undefined) yield await ahead
}

/** A chunk of the file: bytes of a pack, or zeros if it has no pack. */
interface Run {
  readonly length: number
  readonly pack: number | undefined
  readonly rawOffset: number
}

/** The file from its first byte to its last, cut into chunks. */
function* runsOf(extents: readonly Extent[], sizeBytes: number): Generator<Run> {
  let at = 0
  const cut = function* (end: number, extent: Extent | undefined): Generator<Run> {
    while (at < end) {
      const length = Math.min(CHUNK_BYTES, end - at)
      const rawOffset = extent === undefined ? 0 : extent.rawOffset + (at - extent.offset)
      yield { length, pack: extent?.pack, rawOffset }
      at += length
    }
  }
  for (const extent of extents) {
    yield* cut(extent.offset, undefined)
    yield* cut(extent.offset + extent.length, extent)
  }
  yield* cut(sizeBytes, undefined)
}

async function readRun(
  { length, rawOffset }: Run,
  pack: PackTable | undefined,
  { content, store }: FileReaderModules,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const target = new Uint8Array(length)
  if (pack !== undefined) await content.read({ pack, rawOffset, target, source: store }, signal)
  return target
}

function tableOf(
  index: Index,
  tables: Map<number, PackTable>,
  pack: number | undefined,
): PackTable | undefined {
  if (pack === undefined) return undefined
  const known = tables.get(pack)
  if (known !== undefined) return known
  if (tables.size >= MAX_TABLES) tables.clear()
  const table = index.packTable(pack)
  tables.set(pack, table)
  return table
}
