/**
 * Parses rows into exact types. An index comes from a stranger, and SQLite checks column types only
 * when a row is inserted. So every value that is read from a table passes one of these parsers.
 * They throw `invalid-index`, naming table, key and column.
 */
import { type Digest, digestFromBytes } from '../digest.js'
import { IndexFormatError } from '../errors.js'
import {
  S_IFBLK,
  S_IFCHR,
  S_IFDIR,
  S_IFIFO,
  S_IFLNK,
  S_IFMT,
  S_IFREG,
  S_IFSOCK,
} from '../file-mode.js'
import {
  MAX_FILE_BYTES,
  MAX_INO,
  MAX_LINK_TARGET_BYTES,
  MAX_MTIME_SEC,
  MAX_NAME_BYTES,
  MAX_NSEC,
  MAX_U32,
} from '../limits.js'
import type { Inode } from '../tree/tree.js'

const FILE_TYPES = new Set([S_IFSOCK, S_IFLNK, S_IFREG, S_IFBLK, S_IFDIR, S_IFCHR, S_IFIFO])

type Key = number | string

/** The error for a row. `key` tells a person which row: an inode number, a pack key, a meta key. */
export function invalidRow(table: string, key: Key, complaint: string): IndexFormatError {
  return new IndexFormatError('invalid-index', `table ${table}, key ${key}: ${complaint}`)
}

/** An integer from `min` to `max`. */
export function integerFromRow(
  value: unknown,
  min: number,
  max: number,
  table: string,
  key: Key,
  column: string,
): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max) {
    return value
  }
  throw invalidRow(table, key, `${column} is ${shown(value)}, expected ${min} to ${max}`)
}

/** A BLOB of `min` to `max` bytes. */
export function bytesFromRow(
  value: unknown,
  min: number,
  max: number,
  table: string,
  key: Key,
  column: string,
): Uint8Array {
  if (value instanceof Uint8Array && value.length >= min && value.length <= max) return value
  throw invalidRow(table, key, `${column} is ${shown(value)}, expected ${min} to ${max} bytes`)
}

/** A digest, stored as its 32 raw bytes. */
export function digestFromRow(value: unknown, table: string, key: Key): Digest {
  return digestFromBytes(bytesFromRow(value, 32, 32, table, key, 'digest'))
}

/** Whether a mode has one of the seven file types that Linux knows. */
export function hasFileType(mode: number): boolean {
  return FILE_TYPES.has(mode & S_IFMT)
}

/** `st_mode` of a known file type. */
export function modeFromRow(value: unknown, key: Key): number {
  const mode = integerFromRow(value, 0, 0o177777, 'inode', key, 'mode')
  if (hasFileType(mode)) return mode
  throw invalidRow('inode', key, `mode 0${mode.toString(8)} is of no known file type`)
}

/** A name in directory `parent`: one path component. */
export function nameFromRow(value: unknown, parent: number): Uint8Array {
  const name = bytesFromRow(value, 1, MAX_NAME_BYTES, 'entry', parent, 'name')
  if (name.includes(0x2f) || name.includes(0)) {
    throw invalidRow('entry', parent, 'a name holds a slash or a NUL')
  }
  if (name[0] === 0x2e && (name.length === 1 || (name.length === 2 && name[1] === 0x2e))) {
    throw invalidRow('entry', parent, 'a name is "." or ".."')
  }
  return name
}

/** The columns that `inodeFromRow` parses, in its order. */
export const INODE_COLUMNS = [
  'ino',
  'mode',
  'uid',
  'gid',
  'nlink',
  'size',
  'holes',
  'rdev',
  'mtime_sec',
  'mtime_nsec',
  'implied',
] as const

/** Parses the columns of INODE_COLUMNS. The first of them is `row[at]`. */
export function inodeFromRow(row: readonly unknown[], at: number): Inode {
  const ino = inoFromRow(row[at])
  const u32 = (index: number): number =>
    integerFromRow(row[at + index], 0, MAX_U32, 'inode', ino, INODE_COLUMNS[index] ?? '')
  const mode = modeFromRow(row[at + 1], ino)
  const sizeBytes = integerFromRow(row[at + 5], 0, MAX_FILE_BYTES, 'inode', ino, 'size')
  const type = mode & S_IFMT
  if (type === S_IFLNK && (sizeBytes === 0 || sizeBytes > MAX_LINK_TARGET_BYTES)) {
    throw invalidRow('inode', ino, `size of a symbolic link is ${sizeBytes}`)
  }
  const holes = integerFromRow(row[at + 6], 0, sizeBytes, 'inode', ino, 'holes')
  return {
    ino,
    mode,
    uid: u32(2),
    gid: u32(3),
    nlink: integerFromRow(row[at + 4], 1, MAX_U32, 'inode', ino, 'nlink'),
    sizeBytes,
    storedBytes: type === S_IFREG ? sizeBytes - holes : 0,
    rdev: u32(7),
    mtimeSec: integerFromRow(row[at + 8], 0, MAX_MTIME_SEC, 'inode', ino, 'mtime_sec'),
    mtimeNsec: integerFromRow(row[at + 9], 0, MAX_NSEC, 'inode', ino, 'mtime_nsec'),
    implied: integerFromRow(row[at + 10], 0, 1, 'inode', ino, 'implied') === 1,
  }
}

/** The number of an inode's row. It is made into text, for a message, only if it is wrong. */
function inoFromRow(value: unknown): number {
  const right = typeof value === 'number' && Number.isInteger(value) && value >= 1
  return right && value <= MAX_INO
    ? value
    : integerFromRow(value, 1, MAX_INO, 'inode', shown(value), 'ino')
}

/** A value as text for error messages, of bounded length. */
export function shown(value: unknown): string {
  if (value instanceof Uint8Array) return `a blob of ${value.length} bytes`
  if (value === null || value === undefined) return 'missing'
  return typeof value === 'number' ? String(value) : `of type ${typeof value}`
}
