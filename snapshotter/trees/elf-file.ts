/**
 * Reads which interpreter and libraries an ELF file needs (System V ABI, chapters 4 and 5). Only
 * little-endian files are read, because all supported machines are little-endian. Damaged parts of
 * a file count as absent.
 */

/** Reads at most `length` bytes of a file from `offset` on; fewer at its end. */
export type ReadAt = (offset: number, length: number) => Promise<Uint8Array>

export interface ElfNeeds {
  /** The path in PT_INTERP, unchanged. */
  readonly interpreter: string | undefined
  /** The names in DT_NEEDED, in order. */
  readonly needed: readonly string[]
  /**
   * The directories in DT_RUNPATH, or in DT_RPATH if there is no DT_RUNPATH. They may hold
   * `$ORIGIN`.
   */
  readonly runPath: readonly string[]
  /**
   * The runs that loading the file reads, whatever the program does: headers, the dynamic loader's
   * tables, writable data, and code and constants of at most 1 MiB. In order of offset.
   */
  readonly loaded: readonly FileRun[]
}

/** A run of a file's bytes. */
export interface FileRun {
  readonly offset: number
  readonly sizeBytes: number
}

interface Segment {
  readonly type: number
  readonly flags: number
  readonly offset: number
  readonly address: number
  readonly sizeBytes: number
}

const ELF_MAGIC = 0x464c457f
const PT_LOAD = 1
const PT_DYNAMIC = 2
const PT_INTERP = 3
const PF_X = 1
const PF_W = 2
const DT_NEEDED = 1
const DT_STRTAB = 5
const DT_STRSZ = 10
const DT_RPATH = 15
const DT_RUNPATH = 29
const MAX_SEGMENTS = 256
/** The file header and program headers nearly always fit into this. */
const HEADER_BYTES = 4096
const MAX_PATH_BYTES = 4096
const MAX_DYNAMIC_BYTES = 64 * 1024
/** Library names that are read of one file. */
const MAX_NAMES = 1024
/** A segment of code or constants of at most this size counts as read whole. */
const MAX_WHOLE_BYTES = 1024 * 1024

/** Whether a file that begins with `head` may be an ELF file. */
export function isElf(head: Uint8Array): boolean {
  return head.length >= 4 && viewOf(head).getUint32(0, true) === ELF_MAGIC
}

/**
 * Reads the needs of an ELF file. Returns `undefined` for any file that is not a little-endian ELF
 * file of 32 or 64 bits.
 */
export async function readElfNeeds(read: ReadAt): Promise<ElfNeeds | undefined> {
  const bytes = await read(0, 64)
  if (bytes.length < 52 || !isElf(bytes)) return undefined
  const head = viewOf(bytes)
  const is64 = head.getUint8(4) === 2
  if (head.getUint8(5) !== 1 || (is64 && head.byteLength < 64)) return undefined
  const segments = await readSegments(head, is64, read)
  const interp = segments.find(({ type }) => type === PT_INTERP)
  const interpreter =
    interp && textAt(await read(interp.offset, Math.min(interp.sizeBytes, MAX_PATH_BYTES)), 0)
  const loaded = loadedRuns(segments)
  const dynamic = segments.find(({ type }) => type === PT_DYNAMIC)
  if (dynamic === undefined) return { interpreter, needed: [], runPath: [], loaded }
  return { interpreter, loaded, ...(await readDynamic(dynamic, segments, is64, read)) }
}

function loadedRuns(segments: readonly Segment[]): FileRun[] {
  const loads = segments.filter(({ type, sizeBytes }) => type === PT_LOAD && sizeBytes > 0)
  const code = loads.findIndex(({ flags }) => (flags & PF_X) !== 0)
  const runs = loads
    .filter(({ flags, sizeBytes }, at) => {
      // Linkers put the loader's tables before the code and constants after it. A file without code
      // has only constants.
      return at < code || (flags & PF_W) !== 0 || sizeBytes <= MAX_WHOLE_BYTES
    })
    .map(({ offset, sizeBytes }) => ({ offset, sizeBytes }))
    .sort((a, b) => a.offset - b.offset)
  return runs[0]?.offset === 0 ? runs : [{ offset: 0, sizeBytes: HEADER_BYTES }, ...runs]
}

async function readSegments(head: DataView, is64: boolean, read: ReadAt): Promise<Segment[]> {
  const tableOffset = is64 ? word64(head, 32) : head.getUint32(28, true)
  const entryBytes = head.getUint16(is64 ? 54 : 42, true)
  const count = Math.min(head.getUint16(is64 ? 56 : 44, true), MAX_SEGMENTS)
  if (entryBytes < (is64 ? 56 : 32) || entryBytes > 256) return []
  const table = viewOf(await read(tableOffset, count * entryBytes))
  const segments: Segment[] = []
  for (let at = 0; at + entryBytes <= table.byteLength; at += entryBytes) {
    const word = (position64: number, position32: number): number =>
      is64 ? word64(table, at + position64) : table.getUint32(at + position32, true)
    segments.push({
      type: table.getUint32(at, true),
      flags: table.getUint32(at + (is64 ? 4 : 24), true),
      offset: word(8, 4),
      address: word(16, 8),
      sizeBytes: word(32, 16),
    })
  }
  return segments
}

async function readDynamic(
  dynamic: Segment,
  segments: readonly Segment[],
  is64: boolean,
  read: ReadAt,
): Promise<Pick<ElfNeeds, 'needed' | 'runPath'>> {
  const table = viewOf(await read(dynamic.offset, Math.min(dynamic.sizeBytes, MAX_DYNAMIC_BYTES)))
  const entryBytes = is64 ? 16 : 8
  const values = new Map<number, number[]>()
  for (let at = 0; at + entryBytes <= table.byteLength; at += entryBytes) {
    const tag = is64 ? word64(table, at) : table.getUint32(at, true)
    const value = is64 ? word64(table, at + 8) : table.getUint32(at + 4, true)
    if (tag === 0) break
    values.set(tag, [...(values.get(tag) ?? []), value])
  }
  const address = values.get(DT_STRTAB)?.[0] ?? -1
  const home = segments.find((segment) => {
    const isInside = address >= segment.address && address < segment.address + segment.sizeBytes
    return segment.type === PT_LOAD && isInside
  })
  if (home === undefined) return { needed: [], runPath: [] }
  const start = home.offset + address - home.address
  const endPlace = values.get(DT_STRSZ)?.[0] ?? 0
  // Read each string by itself. They lie among the names of symbols, which may take megabytes.
  const texts = async (tag: number): Promise<string[]> => {
    const places = (values.get(tag) ?? []).filter((place) => place < endPlace)
    return Promise.all(
      places.slice(0, MAX_NAMES).map(async (place) => {
        return textAt(await read(start + place, Math.min(MAX_PATH_BYTES, endPlace - place)), 0)
      }),
    )
  }
  const [needed, runPaths, oldPaths] = await Promise.all([
    texts(DT_NEEDED),
    texts(DT_RUNPATH),
    texts(DT_RPATH),
  ])
  const [runPath = oldPaths[0] ?? ''] = runPaths
  return {
    needed: needed.filter((name) => name !== ''),
    runPath: runPath.split(':').filter((directory) => directory !== ''),
  }
}

/** The bytes from `at` up to the next NUL, as latin1, because names are bytes. */
function textAt(bytes: Uint8Array, at: number): string {
  if (at < 0 || at >= bytes.length) return ''
  const nul = bytes.indexOf(0, at)
  return Buffer.from(bytes.subarray(at, nul < 0 ? bytes.length : nul)).toString('latin1')
}

/** Reads 64 bits. Values beyond 2^53 - 1 are clamped to it: no file has such an offset. */
function word64(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : Number.MAX_SAFE_INTEGER
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
