/** Checks the extents of every file: without overlap, inside the file and its packs, complete. */
import { S_IFMT, S_IFREG } from '../file-mode.js'
import { MAX_PACK_RAW_BYTES } from '../limits.js'
import { type CheckContext, finding, type Row } from './check-context.js'
import type { Finding } from './finding.js'

/** The file whose extents are being read. */
interface CurrentFile {
  readonly ino: unknown
  readonly where: string
  readonly sizeBytes: number
  readonly storedBytes: number
  end: number
  covered: number
}

/** `packs` has each pack's raw size by key. `used` gets the key of each pack with an extent. */
export function* checkExtents(
  context: CheckContext,
  packs: ReadonlyMap<number, number>,
  used: Set<number>,
): Generator<Finding> {
  let file: CurrentFile | undefined
  const sql =
    'SELECT i.ino,i.size,i.holes,i.pack,i.raw_offset,e.offset,e.length,e.pack,e.raw_offset ' +
    `FROM inode i LEFT JOIN extent e ON e.ino=i.ino WHERE i.mode&${S_IFMT}=${S_IFREG} ` +
    'ORDER BY i.ino,e.offset'
  for (const row of context.rows(sql)) {
    if (file === undefined || row[0] !== file.ino) {
      yield* completed(file)
      file = fileFromRow(row)
      if (row[3] !== null) {
        yield* checkExtent(file, [0, row[1], row[3], row[4]], packs, used)
      }
    }
    if (row[5] !== null) yield* checkExtent(file, row.slice(5), packs, used)
  }
  yield* completed(file)
  yield* checkOwners(context)
}

function fileFromRow(row: Row): CurrentFile {
  const sizeBytes = Number(row[1])
  const storedBytes = sizeBytes - Number(row[2])
  return {
    ino: row[0],
    where: `inode ${String(row[0])}`,
    sizeBytes,
    storedBytes,
    end: 0,
    covered: 0,
  }
}

function* checkExtent(
  file: CurrentFile,
  row: Row,
  packs: ReadonlyMap<number, number>,
  used: Set<number>,
): Generator<Finding> {
  const [offset, length, pack, rawOffset] = row
  const { where } = file
  if (
    !isCount(offset) ||
    !isCount(length) ||
    !isCount(rawOffset) ||
    !isCount(pack) ||
    length === 0
  ) {
    const values = row.map((value) => String(value).slice(0, 20)).join(', ')
    yield finding('invalid-row', where, `extent (offset, length, pack, raw offset) is (${values})`)
    return
  }
  if (offset < file.end) {
    yield finding('overlapping-extents', where, `extent at ${offset} begins before ${file.end}`)
  }
  if (offset + length > file.sizeBytes) {
    const detail = `extent ends at ${offset + length}, the file at ${file.sizeBytes}`
    yield finding('extent-outside-file', where, detail)
  }
  file.end = Math.max(file.end, offset + length)
  file.covered += length
  used.add(pack)
  const rawSizeBytes = packs.get(pack)
  if (rawSizeBytes === undefined) {
    yield finding(
      'unknown-pack',
      where,
      `extent at ${offset} is in pack ${pack}, which is not there`,
    )
  } else if (rawOffset + length > rawSizeBytes) {
    const detail = `extent at ${offset} ends at raw ${rawOffset + length}, pack ${pack} at ${rawSizeBytes}`
    yield finding('extent-outside-pack', where, detail)
  }
}

function* completed(file: CurrentFile | undefined): Generator<Finding> {
  if (file === undefined || file.covered === file.storedBytes) return
  const detail = `extents cover ${file.covered} bytes, ${file.storedBytes} are stored`
  yield finding('wrong-stored-bytes', file.where, detail)
}

/** Finds extents that do not belong to a regular file. */
function* checkOwners(context: CheckContext): Generator<Finding> {
  const isRegular = `i.mode&${S_IFMT}=${S_IFREG}`
  const sql =
    'SELECT DISTINCT e.ino FROM extent e LEFT JOIN inode i ON i.ino=e.ino ' +
    `WHERE i.ino IS NULL OR NOT ${isRegular} UNION ALL SELECT i.ino FROM inode i ` +
    `WHERE i.pack IS NOT NULL AND NOT ${isRegular} UNION ALL SELECT i.ino FROM inode i ` +
    'WHERE i.pack IS NULL AND i.raw_offset IS NOT NULL'
  for (const [ino] of context.rows(sql)) {
    yield finding('dangling-extent', `extent ${String(ino)}`, 'there is no such regular file')
  }
}

function isCount(value: unknown): value is number {
  return (
    typeof value === 'number' &&
    Number.isSafeInteger(value) &&
    value >= 0 &&
    value <= Number.MAX_SAFE_INTEGER - MAX_PACK_RAW_BYTES
  )
}
