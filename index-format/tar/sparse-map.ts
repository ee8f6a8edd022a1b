/**
 * The four ways in which GNU tar says where a sparse file's bytes are: in the header block (old GNU
 * format), in repeated pax records (0.0), in one pax record (0.1), and before the data (1.0). GNU
 * tar's manual, "Storing Sparse Files" and "Other Sparse Formats". All four give a list of runs.
 */
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'
import { MAX_FILE_BYTES, MAX_SPARSE_RUNS } from '../limits.js'
import type { ByteReader } from './byte-reader.js'
import { paxNumber, type PaxRecords } from './pax-records.js'
import { BLOCK_BYTES, numberField, type TarHeader } from './tar-header.js'
import type { SparseRun } from './tar-member.js'

const OLD_HEADER_RUNS = { start: 386, count: 4, more: 482 }
const OLD_EXTENSION_RUNS = { start: 0, count: 21, more: 504 }

export interface SparseMap {
  /** The file's length with its holes. */
  readonly sizeBytes: number
  /** Offset and length alternating, unchecked, as in the archive. */
  readonly pairs: readonly number[]
  /** Bytes of the member's data that the map itself takes: 0 in every format but 1.0. */
  readonly mapBytes: number
}

/** Reads the map of an old GNU sparse member (type `S`): from its header and extension blocks. */
export async function readOldSparseMap(
  header: TarHeader,
  reader: ByteReader,
  where: string,
): Promise<SparseMap> {
  const pairs: number[] = []
  let place = OLD_HEADER_RUNS
  let block = header.block
  for (;;) {
    for (let i = 0; i < place.count; i++) {
      const start = place.start + 24 * i
      if (block[start] === 0 && block[start + 12] === 0) break
      pushRun(pairs, where, [
        numberField({ ...header, block }, { name: 'sparse offset', start, length: 12 }),
        numberField({ ...header, block }, { name: 'sparse length', start: start + 12, length: 12 }),
      ])
    }
    if (block[place.more] !== 1) break
    const next = reader.readSync(BLOCK_BYTES) ?? (await reader.read(BLOCK_BYTES, where))
    if (next === undefined) throw reader.truncated(where)
    block = next
    place = OLD_EXTENSION_RUNS
  }
  const sizeBytes = numberField(header, { name: 'real size', start: 483, length: 12 })
  return { sizeBytes, pairs, mapBytes: 0 }
}

/**
 * The map of a sparse member in pax form, or `undefined` when its records describe no sparse file.
 * `reader` must be at the beginning of the member's data, where format 1.0 has the map.
 */
export async function readPaxSparseMap(
  pax: PaxRecords,
  reader: ByteReader,
  member: { readonly where: string; readonly storedBytes: number },
): Promise<SparseMap | undefined> {
  const { where } = member
  const major = pax.values.get('GNU.sparse.major')?.toString('latin1')
  const minor = pax.values.get('GNU.sparse.minor')?.toString('latin1')
  if (major === '1' && minor === '0') {
    const sizeBytes = requiredNumber(pax, ['GNU.sparse.realsize', 'GNU.sparse.size'], where)
    return { sizeBytes, ...(await readMapInData(reader, member)) }
  }
  const map = pax.values.get('GNU.sparse.map')
  if (map === undefined && pax.sparsePairs.length === 0) {
    if (major === undefined || (major === '0' && Number(minor) <= 1)) {
      const sizeBytes = pax.values.get('GNU.sparse.size')
      if (sizeBytes === undefined) return undefined
      return { sizeBytes: paxNumber('GNU.sparse.size', sizeBytes, where), pairs: [], mapBytes: 0 }
    }
    throw invalid(
      where,
      `sparse format ${major}.${minor ?? '?'} is not known; 0.0, 0.1 and 1.0 are`,
    )
  }
  const sizeBytes = requiredNumber(pax, ['GNU.sparse.size', 'GNU.sparse.realsize'], where)
  return {
    sizeBytes,
    pairs: map === undefined ? pax.sparsePairs : pairsOf(map, where),
    mapBytes: 0,
  }
}

/**
 * The non-empty runs of a map. Throws `invalid-tar` unless the runs are in order, without overlap,
 * inside the file, and `storedBytes` long together.
 */
export function runsOf(map: SparseMap, storedBytes: number, where: string): SparseRun[] {
  const runs: SparseRun[] = []
  let end = 0
  let total = 0
  if (map.pairs.length % 2 !== 0) throw invalid(where, 'a sparse run has no length')
  for (let i = 0; i < map.pairs.length; i += 2) {
    const offset = map.pairs[i] ?? 0
    const length = map.pairs[i + 1] ?? 0
    if (offset < end || length < 0 || offset + length > map.sizeBytes) {
      throw invalid(
        where,
        `sparse run ${String(offset)}+${String(length)} is out of order or beyond the file's ${String(map.sizeBytes)} bytes`,
      )
    }
    end = offset + length
    total += length
    if (length > 0) runs.push({ offset, length })
  }
  if (total !== storedBytes || map.sizeBytes > MAX_FILE_BYTES) {
    throw invalid(
      where,
      `the sparse runs have ${String(total)} bytes, the archive holds ${String(storedBytes)}`,
    )
  }
  return runs
}

async function readMapInData(
  reader: ByteReader,
  member: { readonly where: string; readonly storedBytes: number },
): Promise<Pick<SparseMap, 'pairs' | 'mapBytes'>> {
  const { where } = member
  const pairs: number[] = []
  let mapBytes = 0
  let expected: number | undefined
  let digits = ''
  while (expected === undefined || pairs.length < expected) {
    if (mapBytes + BLOCK_BYTES > member.storedBytes) {
      throw invalid(where, 'the sparse map is longer than the member')
    }
    const block = reader.readSync(BLOCK_BYTES) ?? (await reader.read(BLOCK_BYTES, where))
    if (block === undefined) throw reader.truncated(where)
    mapBytes += BLOCK_BYTES
    for (const byte of block) {
      if (byte !== 0x0a) {
        if (byte < 0x30 || byte > 0x39 || digits.length > 15)
          throw invalid(where, 'the sparse map is not of decimal lines')
        digits += String.fromCharCode(byte)
        continue
      }
      const value = digits === '' ? Number.NaN : Number(digits)
      digits = ''
      if (!Number.isSafeInteger(value))
        throw invalid(where, 'the sparse map has an empty or too long line')
      if (expected === undefined) expected = runCount(value, where) * 2
      else pairs.push(value)
      if (pairs.length === expected) break
    }
  }
  return { pairs, mapBytes }
}

function runCount(count: number, where: string): number {
  if (count > MAX_SPARSE_RUNS) throw tooManyRuns(where)
  return count
}

function pairsOf(map: Buffer, where: string): number[] {
  const text = map.toString('latin1')
  if (text === '') return []
  const parts = text.split(',')
  if (parts.length > 2 * MAX_SPARSE_RUNS) throw tooManyRuns(where)
  return parts.map((part) => paxNumber('GNU.sparse.map', Buffer.from(part, 'latin1'), where))
}

function pushRun(pairs: number[], where: string, run: readonly [number, number]): void {
  if (pairs.length >= 2 * MAX_SPARSE_RUNS) throw tooManyRuns(where)
  pairs.push(...run)
}

function requiredNumber(pax: PaxRecords, keys: readonly string[], where: string): number {
  for (const key of keys) {
    const value = pax.values.get(key)
    if (value !== undefined) return paxNumber(key, value, where)
  }
  throw invalid(where, `a sparse file without ${keys.join(' or ')}`)
}

function tooManyRuns(where: string): IndexFormatError {
  return new IndexFormatError(
    'limit-exceeded',
    `${where}: more than ${String(MAX_SPARSE_RUNS)} sparse runs`,
  )
}

function invalid(where: string, what: string): IndexFormatError {
  return new IndexFormatError(
    'invalid-tar',
    `${where}: ${escapeBytes(Buffer.from(what, 'latin1'))}`,
  )
}
