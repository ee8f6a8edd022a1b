/** Parses extents from rows: the one in an inode's own row, and those of the extent table. */
import { isRegular } from '../file-mode.js'
import { MAX_FILE_BYTES, MAX_PACK_RAW_BYTES, MAX_PACKS } from '../limits.js'
import type { Extent } from '../tree/tree.js'
import { integerFromRow, invalidRow, modeFromRow } from './row.js'

/**
 * Parses [mode, size, pack, raw_offset] of an inode. Most files are one run of bytes in one pack,
 * and have their only extent in this row. `undefined` for any other: its extents, if it has any,
 * are in the extent table. Throws `invalid-index`.
 */
export function inlineExtentFromRow(row: readonly unknown[], ino: number): Extent | undefined {
  if (row[2] === null) {
    if (row[3] !== null) throw invalidRow('inode', ino, 'raw_offset without pack')
    return undefined
  }
  if (!isRegular(modeFromRow(row[0], ino))) {
    throw invalidRow('inode', ino, 'an extent, but not a regular file')
  }
  const length = integerFromRow(row[1], 1, MAX_PACK_RAW_BYTES, 'inode', ino, 'size')
  const pack = integerFromRow(row[2], 1, MAX_PACKS, 'inode', ino, 'pack')
  const last = MAX_PACK_RAW_BYTES - length
  const rawOffset = integerFromRow(row[3], 0, last, 'inode', ino, 'raw_offset')
  return { offset: 0, length, pack, rawOffset }
}

/**
 * Parses [offset, length, pack, raw_offset]. Throws `invalid-index` unless the extent lies between
 * `from` and `size`, the size of the file.
 */
export function extentFromRow(
  row: readonly unknown[],
  ino: number,
  from: number,
  size: unknown,
): Extent {
  const sizeBytes = integerFromRow(size, 0, MAX_FILE_BYTES, 'inode', ino, 'size')
  const offset = integerFromRow(row[0], from, MAX_FILE_BYTES, 'extent', ino, 'offset')
  const room = Math.min(MAX_PACK_RAW_BYTES, sizeBytes - offset)
  const length = integerFromRow(row[1], 1, room, 'extent', ino, 'length')
  const pack = integerFromRow(row[2], 1, MAX_PACKS, 'extent', ino, 'pack')
  const last = MAX_PACK_RAW_BYTES - length
  const rawOffset = integerFromRow(row[3], 0, last, 'extent', ino, 'raw_offset')
  return { offset, length, pack, rawOffset }
}
