/**
 * The 512-byte header block of a tar member: POSIX.1-1988 (ustar), its v7 predecessor, and GNU's
 * and star's variants. The positions of fields are from POSIX.1 "pax", "ustar Interchange Format",
 * and from GNU tar's manual, "Basic Tar Format".
 */
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'

export const BLOCK_BYTES = 512

type TarFormat = 'v7' | 'ustar' | 'gnu' | 'star'

/** The fields of a header that every member needs. The other fields are read from `block`. */
export interface TarHeader {
  readonly block: Buffer
  readonly format: TarFormat
  /** One character; `\0` for a regular file of v7. */
  readonly type: string
  /** Raw bytes, including the ustar prefix. */
  readonly path: Buffer
}

/** Decodes a header block. `offset` is for messages. Throws `invalid-tar` for a wrong checksum. */
export function decodeHeader(block: Buffer, offset: number): TarHeader {
  if (!hasValidChecksum(block)) {
    throw new IndexFormatError(
      'invalid-tar',
      `header at byte ${String(offset)}: wrong checksum; this is no tar archive, or a damaged one`,
    )
  }
  const format = formatOf(block)
  const name = stringField(block, 0, 100)
  const prefix = prefixOf(block, format)
  const path = prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name])
  return { block, format, type: String.fromCharCode(block[156] ?? 0), path }
}

/** Whether the block is all zeros. Two such blocks end an archive. */
export function isZeroBlock(block: Buffer): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0)
}

/** The bytes of a text field up to its first NUL. */
export function stringField(block: Buffer, start: number, length: number): Buffer {
  const field = block.subarray(start, start + length)
  const end = field.indexOf(0)
  return end === -1 ? field : field.subarray(0, end)
}

/**
 * A numeric field: octal digits between spaces and NULs, or GNU's base-256 (first bit set). Throws
 * `invalid-tar`, naming the member and the field, for anything else and for unsafe integers.
 */
export function numberField(
  header: TarHeader,
  field: { name: string; start: number; length: number },
): number {
  const { block } = header
  const first = block[field.start] ?? 0
  const value =
    (first & 0x80) === 0
      ? octalField(block, field.start, field.length)
      : base256Field(block.subarray(field.start, field.start + field.length))
  if (value !== undefined) return value
  const shown = escapeBytes(block.subarray(field.start, field.start + field.length))
  throw new IndexFormatError(
    'invalid-tar',
    `member "${escapeBytes(header.path)}": field ${field.name} is "${shown}"; expected an octal or base-256 number below 2^53`,
  )
}

function octalField(block: Buffer, start: number, length: number): number | undefined {
  const end = start + length
  let at = start
  while (at < end && (block[at] === 0x20 || block[at] === 0)) at++
  let value = 0
  for (; at < end; at++) {
    const byte = block[at] ?? 0
    if (byte === 0x20 || byte === 0) break
    if (byte < 0x30 || byte > 0x37) return undefined
    value = value * 8 + (byte - 0x30)
  }
  return Number.isSafeInteger(value) ? value : undefined
}

function base256Field(field: Buffer): number | undefined {
  const negative = ((field[0] ?? 0) & 0x40) !== 0
  // The top bit only marks base-256. The other bits are the number in two's complement.
  let value = BigInt((field[0] ?? 0) & 0x7f)
  for (const byte of field.subarray(1)) value = value * 256n + BigInt(byte)
  if (negative) value -= 1n << BigInt(field.length * 8 - 1)
  const result = Number(value)
  return Number.isSafeInteger(result) ? result : undefined
}

function hasValidChecksum(block: Buffer): boolean {
  const claimed = octalField(block, 148, 8)
  if (claimed === undefined) return false
  let unsigned = 8 * 0x20
  let high = 0
  for (let i = 0; i < BLOCK_BYTES; i++) {
    if (i === 148) i = 156
    const byte = block[i] ?? 0
    unsigned += byte
    high += byte >> 7
  }
  // Old tar programs summed signed characters: each byte above 127 counted as itself minus 256.
  return claimed === unsigned || claimed === unsigned - 256 * high
}

function formatOf(block: Buffer): TarFormat {
  const magic = block.toString('latin1', 257, 265)
  if (magic === 'ustar  \0') return 'gnu'
  if (!magic.startsWith('ustar\0')) return 'v7'
  return block.toString('latin1', 508, 512) === 'tar\0' ? 'star' : 'ustar'
}

function prefixOf(block: Buffer, format: TarFormat): Buffer {
  if (format === 'ustar') return stringField(block, 345, 155)
  // star keeps two times in the last 24 bytes of the prefix field.
  if (format === 'star') return stringField(block, 345, 131)
  return Buffer.alloc(0)
}
