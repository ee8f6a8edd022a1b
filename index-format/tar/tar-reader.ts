/**
 * Reads a tar archive as a stream of members: v7, ustar, pax, GNU and star headers, byte for byte
 * as they are. Memory does not grow with the members: it holds the extended headers and the sparse
 * map of one member, and the records of global headers. Where the formats contradict each other,
 * the reader decides as Go's archive/tar does, because containerd unpacks with that.
 */
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'
import {
  MAX_FILE_BYTES,
  MAX_LINK_TARGET_BYTES,
  MAX_MEMBER_PATH_BYTES,
  MAX_PAX_HEADER_BYTES,
} from '../limits.js'
import { ByteReader } from './byte-reader.js'
import {
  mergePaxRecords,
  NO_PAX_RECORDS,
  parsePaxRecords,
  paxNumber,
  type PaxRecords,
  paxTime,
} from './pax-records.js'
import { readOldSparseMap, readPaxSparseMap, runsOf, type SparseMap } from './sparse-map.js'
import { TarBody } from './tar-body.js'
import {
  BLOCK_BYTES,
  decodeHeader,
  isZeroBlock,
  numberField,
  stringField,
  type TarHeader,
} from './tar-header.js'
import type { TarMember, TarMemberKind } from './tar-member.js'

export interface TarReadOptions {
  /**
   * The treatment of pax global headers: `apply` gives their records to the members after them, as
   * POSIX says; `ignore` drops them, as containerd does when it unpacks a layer. Default: `apply`.
   */
  readonly globalHeaders?: 'apply' | 'ignore'
}

/** The extended headers before a member, which change its fields. */
interface Extensions {
  pax: PaxRecords
  longPath: Buffer | undefined
  longLink: Buffer | undefined
}

/**
 * The members of the archive in `source`, in order. After the end blocks the source is read to its
 * end and its bytes are ignored. Throws `invalid-tar`, `truncated` or `limit-exceeded`, naming the
 * member; errors of the source pass through. Leaving the loop early ends the source.
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  options: TarReadOptions = {},
): AsyncGenerator<TarMember, void, undefined> {
  const reader = new ByteReader(source)
  const applyGlobals = options.globalHeaders !== 'ignore'
  let globals = NO_PAX_RECORDS
  let extensions = noExtensions()
  try {
    for (;;) {
      const header = await nextHeader(reader)
      if (header === undefined) break
      switch (header.type) {
        case 'x':
        case 'X':
          extensions.pax = parsePaxRecords(await extensionBody(reader, header), whereOf(header))
          break
        case 'g': {
          const records = parsePaxRecords(await extensionBody(reader, header), whereOf(header))
          if (applyGlobals) globals = mergePaxRecords(globals, records)
          break
        }
        case 'L':
          extensions.longPath = stringFrom(await extensionBody(reader, header))
          break
        case 'K':
          extensions.longLink = stringFrom(await extensionBody(reader, header))
          break
        default: {
          extensions.pax = mergePaxRecords(globals, extensions.pax)
          const { member, body, padding } = await memberFrom(header, extensions, reader)
          extensions = noExtensions()
          yield member
          if (body.leftBytes > 0) await body.skip()
          // The padding of the last member may be missing, as may the end blocks.
          if (padding > 0 && reader.readSync(padding) === undefined) await reader.skip(padding)
        }
      }
    }
    await reader.drain()
  } finally {
    await reader.close()
  }
}

/** The next header, or `undefined` at the end blocks or the end of the source. */
async function nextHeader(reader: ByteReader): Promise<TarHeader | undefined> {
  const { offset } = reader
  const block = reader.readSync(BLOCK_BYTES) ?? (await reader.read(BLOCK_BYTES, 'a header'))
  if (block === undefined) return undefined
  if (!isZeroBlock(block)) return decodeHeader(block, offset)
  const second = await reader.read(BLOCK_BYTES, 'the end blocks')
  if (second === undefined || isZeroBlock(second)) return undefined
  throw new IndexFormatError(
    'invalid-tar',
    `header at byte ${String(offset)}: a block of zeros that no second one follows`,
  )
}

async function extensionBody(reader: ByteReader, header: TarHeader): Promise<Buffer> {
  const size = sizeOf(header, header.path)
  if (size > MAX_PAX_HEADER_BYTES) {
    throw new IndexFormatError(
      'limit-exceeded',
      `${whereOf(header)}: an extended header of ${String(size)} bytes, the limit is ${String(MAX_PAX_HEADER_BYTES)}`,
    )
  }
  if (size === 0) return Buffer.alloc(0)
  const body = await reader.read(size, whereOf(header))
  if (body === undefined) throw reader.truncated(whereOf(header))
  await reader.skip(paddingOf(size))
  return body
}

async function memberFrom(
  header: TarHeader,
  extensions: Extensions,
  reader: ByteReader,
): Promise<{ member: TarMember; body: TarBody; padding: number }> {
  const { pax } = extensions
  const paxPath = pax.values.get('GNU.sparse.name') ?? pax.values.get('path')
  const path = extensions.longPath ?? nonEmpty(paxPath) ?? header.path
  const where = `member "${escapeBytes(path)}"`
  checkPath(path, where, MAX_MEMBER_PATH_BYTES)
  const kind = kindOf(header, path)
  const isFile = kind === 'file'
  const stated = pax.values.get('size')
  // Only files have data. The size in the header of any other member is ignored.
  const held = !isFile
    ? 0
    : stated === undefined
      ? sizeOf(header, path)
      : paxNumber('size', stated, where)
  if (held < 0 || held > MAX_FILE_BYTES)
    throw invalid(where, `size ${String(held)} is out of range`)
  const map = isFile
    ? await sparseMapOf(header, pax, reader, { where, storedBytes: held })
    : undefined
  const storedBytes = held - (map?.mapBytes ?? 0)
  const body = new TarBody(reader, storedBytes, where)
  const isDevice = kind === 'char' || kind === 'block'
  const member: TarMember = {
    kind,
    path,
    linkTarget: linkTargetOf(header, kind, extensions, where),
    mode: numberField(header, { name: 'mode', start: 100, length: 8 }) & 0o7777,
    uid: ownerOf(header, pax, { name: 'uid', start: 108, length: 8 }, where),
    gid: ownerOf(header, pax, { name: 'gid', start: 116, length: 8 }, where),
    sizeBytes: map?.sizeBytes ?? held,
    devMajor: isDevice ? numberField(header, { name: 'devmajor', start: 329, length: 8 }) : 0,
    devMinor: isDevice ? numberField(header, { name: 'devminor', start: 337, length: 8 }) : 0,
    ...mtimeOf(header, pax, where),
    xattrs: pax.xattrs.size === 0 ? [] : [...pax.xattrs.values()],
    sparse: map === undefined ? undefined : runsOf(map, storedBytes, where),
    storedBytes,
    body,
  }
  return { member, body, padding: paddingOf(held) }
}

async function sparseMapOf(
  header: TarHeader,
  pax: PaxRecords,
  reader: ByteReader,
  member: { readonly where: string; readonly storedBytes: number },
): Promise<SparseMap | undefined> {
  if (header.type === 'S') return readOldSparseMap(header, reader, member.where)
  if (pax.values.size === 0 && pax.sparsePairs.length === 0) return undefined
  return readPaxSparseMap(pax, reader, member)
}

function kindOf(header: TarHeader, path: Uint8Array): TarMemberKind {
  switch (header.type) {
    case '\0':
      // v7 has no type for directories: their names end with a slash.
      return path.at(-1) === 0x2f ? 'directory' : 'file'
    case '0':
    case '7':
    case 'S':
      return 'file'
    case '1':
      return 'hardlink'
    case '2':
      return 'symlink'
    case '3':
      return 'char'
    case '4':
      return 'block'
    case '5':
      return 'directory'
    case '6':
      return 'fifo'
    default:
      throw invalid(
        `member "${escapeBytes(path)}"`,
        `type "${escapeBytes(Buffer.from(header.type, 'latin1'))}" is not known; 0 to 7, S, x, g, L and K are`,
      )
  }
}

function linkTargetOf(
  header: TarHeader,
  kind: TarMemberKind,
  extensions: Extensions,
  where: string,
): Uint8Array {
  if (kind !== 'symlink' && kind !== 'hardlink') return Buffer.alloc(0)
  const target =
    extensions.longLink ??
    nonEmpty(extensions.pax.values.get('linkpath')) ??
    stringField(header.block, 157, 100)
  checkPath(target, `${where}, link target`, MAX_LINK_TARGET_BYTES)
  if (target.length === 0) throw invalid(where, 'a link without a target')
  return target
}

function ownerOf(
  header: TarHeader,
  pax: PaxRecords,
  field: { name: string; start: number; length: number },
  where: string,
): number {
  const value = pax.values.get(field.name)
  if (value === undefined || value.length === 0) return numberField(header, field)
  return paxNumber(field.name, value, where)
}

function mtimeOf(
  header: TarHeader,
  pax: PaxRecords,
  where: string,
): { mtimeSec: number; mtimeNsec: number } {
  const value = pax.values.get('mtime')
  if (value === undefined || value.length === 0) {
    return {
      mtimeSec: numberField(header, { name: 'mtime', start: 136, length: 12 }),
      mtimeNsec: 0,
    }
  }
  const { sec, nsec } = paxTime('mtime', value, where)
  return { mtimeSec: sec, mtimeNsec: nsec }
}

function sizeOf(header: TarHeader, path: Uint8Array): number {
  const size = numberField(header, { name: 'size', start: 124, length: 12 })
  if (size < 0) throw invalid(`member "${escapeBytes(path)}"`, `size ${String(size)} is negative`)
  return size
}

function checkPath(path: Uint8Array, where: string, limit: number): void {
  if (path.length > limit) {
    throw new IndexFormatError(
      'limit-exceeded',
      `${where}: ${String(path.length)} bytes of path, the limit is ${String(limit)}`,
    )
  }
  if (path.includes(0)) throw invalid(where, 'a NUL in the path')
}

function paddingOf(size: number): number {
  return (BLOCK_BYTES - (size % BLOCK_BYTES)) % BLOCK_BYTES
}

function stringFrom(body: Buffer): Buffer {
  const end = body.indexOf(0)
  return end === -1 ? body : body.subarray(0, end)
}

function nonEmpty(value: Buffer | undefined): Buffer | undefined {
  return value === undefined || value.length === 0 ? undefined : value
}

function noExtensions(): Extensions {
  return { pax: NO_PAX_RECORDS, longPath: undefined, longLink: undefined }
}

function whereOf(header: TarHeader): string {
  return `extended header "${escapeBytes(header.path)}"`
}

function invalid(where: string, what: string): IndexFormatError {
  return new IndexFormatError('invalid-tar', `${where}: ${what}`)
}
