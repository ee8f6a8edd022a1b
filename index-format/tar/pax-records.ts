/**
 * The records of a pax extended header: `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record,
 * so that a value may hold any byte. POSIX.1 "pax", "pax Extended Header".
 */
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'
import { MAX_SPARSE_RUNS, MAX_XATTR_NAME_BYTES, MAX_XATTR_VALUE_BYTES } from '../limits.js'
import type { Xattr } from '../tree/tree.js'

const XATTR_PREFIX = 'SCHILY.xattr.'

export interface PaxRecords {
  /** Every record except attributes and sparse runs. The last value of a repeated key counts. */
  readonly values: ReadonlyMap<string, Buffer>
  /** The attributes, keyed by name in latin1. The last value of a repeated name counts. */
  readonly xattrs: ReadonlyMap<string, Xattr>
  /** `GNU.sparse.offset` and `GNU.sparse.numbytes` alternating: the map of sparse format 0.0. */
  readonly sparsePairs: readonly number[]
}

export const NO_PAX_RECORDS: PaxRecords = {
  values: new Map<string, Buffer>(),
  xattrs: new Map<string, Xattr>(),
  sparsePairs: [],
}

/** Parses the body of a pax header. Throws `invalid-tar` or `limit-exceeded`, naming `where`. */
export function parsePaxRecords(body: Buffer, where: string): PaxRecords {
  const values = new Map<string, Buffer>()
  const xattrs = new Map<string, Xattr>()
  const sparsePairs: number[] = []
  let at = 0
  while (at < body.length) {
    const { key, value, end } = recordAt(body, at, where)
    at = end
    if (key.startsWith(XATTR_PREFIX)) {
      const name = key.slice(XATTR_PREFIX.length)
      xattrs.set(name, xattrFrom(name, value, where))
    } else if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      if ((sparsePairs.length % 2 === 0) !== (key === 'GNU.sparse.offset')) {
        throw invalid(where, `record ${key} is out of turn`)
      }
      if (sparsePairs.length >= 2 * MAX_SPARSE_RUNS) {
        throw new IndexFormatError(
          'limit-exceeded',
          `${where}: more than ${String(MAX_SPARSE_RUNS)} sparse runs`,
        )
      }
      sparsePairs.push(paxNumber(key, value, where))
    } else {
      values.set(key, value)
    }
  }
  return { values, xattrs, sparsePairs }
}

/** Joins global records with a member's own. Where both have a key, the member's value counts. */
export function mergePaxRecords(globals: PaxRecords, own: PaxRecords): PaxRecords {
  if (globals === NO_PAX_RECORDS) return own
  return {
    values: new Map([...globals.values, ...own.values]),
    xattrs: new Map([...globals.xattrs, ...own.xattrs]),
    sparsePairs: own.sparsePairs,
  }
}

/** A decimal record, perhaps negative. Throws `invalid-tar` unless it is a safe integer. */
export function paxNumber(key: string, value: Buffer, where: string): number {
  const text = value.toString('latin1')
  const number = /^-?[0-9]{1,20}$/.test(text) ? Number(text) : Number.NaN
  if (!Number.isSafeInteger(number)) {
    throw invalid(where, `record ${key} is "${escapeBytes(value)}"; expected a number below 2^53`)
  }
  return number
}

/**
 * A time record: seconds, perhaps negative, perhaps with a fraction. The first nine digits of the
 * fraction count. `nsec` counts forward from `sec`. Throws `invalid-tar` for anything else.
 */
export function paxTime(
  key: string,
  value: Buffer,
  where: string,
): { readonly sec: number; readonly nsec: number } {
  const match = /^(-?)([0-9]{1,16})(?:\.([0-9]*))?$/.exec(value.toString('latin1'))
  if (match === null)
    throw invalid(where, `record ${key} is "${escapeBytes(value)}"; expected a time`)
  const [, sign, whole = '', fraction = ''] = match
  const sec = Number(whole)
  const nsec = Number(fraction.slice(0, 9).padEnd(9, '0'))
  if (!Number.isSafeInteger(sec)) throw invalid(where, `record ${key} is out of range`)
  if (sign === '') return { sec, nsec }
  return nsec === 0 ? { sec: -sec, nsec: 0 } : { sec: -sec - 1, nsec: 1_000_000_000 - nsec }
}

function recordAt(
  body: Buffer,
  start: number,
  where: string,
): { key: string; value: Buffer; end: number } {
  const shown = escapeBytes(body.subarray(start, start + 40))
  const space = body.indexOf(0x20, start)
  const digits = space === -1 ? '' : body.toString('latin1', start, Math.min(space, start + 9))
  const end = start + (/^[0-9]{1,8}$/.test(digits) ? Number(digits) : Number.NaN)
  if (!(end > space + 1 && end <= body.length) || body[end - 1] !== 0x0a) {
    throw invalid(where, `the record at "${shown}" has a wrong length`)
  }
  const equals = body.indexOf(0x3d, space + 1)
  if (equals <= space + 1 || equals >= end - 1)
    throw invalid(where, `the record at "${shown}" has no key`)
  const key = body.toString('latin1', space + 1, equals)
  if (key.includes('\0')) throw invalid(where, `the key at "${shown}" has a NUL`)
  return { key, value: body.subarray(equals + 1, end - 1), end }
}

function xattrFrom(name: string, value: Buffer, where: string): Xattr {
  if (name.length === 0) throw invalid(where, 'an extended attribute has no name')
  if (name.length > MAX_XATTR_NAME_BYTES) {
    throw new IndexFormatError(
      'limit-exceeded',
      `${where}: an attribute's name has ${String(name.length)} bytes, the limit is ${String(MAX_XATTR_NAME_BYTES)}`,
    )
  }
  if (value.length > MAX_XATTR_VALUE_BYTES) {
    throw new IndexFormatError(
      'limit-exceeded',
      `${where}: attribute ${escapeBytes(Buffer.from(name, 'latin1'))} has ${String(value.length)} bytes, the limit is ${String(MAX_XATTR_VALUE_BYTES)}`,
    )
  }
  return { name: Buffer.from(name, 'latin1'), value }
}

function invalid(where: string, what: string): IndexFormatError {
  return new IndexFormatError('invalid-tar', `${where}: ${what}`)
}
