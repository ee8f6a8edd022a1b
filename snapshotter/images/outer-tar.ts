/** Reads the headers of an image archive: its members and the places of their bytes. */
import type { FileHandle } from 'node:fs/promises'
import { posix } from 'node:path'
import { SnapshotterError } from '../errors.js'
import { MAX_BLOB_BYTES } from './registry/index.js'

export interface OuterMember {
  /** Position of the member's bytes in the archive. */
  readonly offset: number
  readonly sizeBytes: number
  readonly linkKind: 'symbolic' | 'hard' | undefined
  readonly linkTarget: string | undefined
}

const BLOCK = 512
/** Limit of the members of an archive. An image archive has a few members a layer. */
const MAX_MEMBERS = 100_000
/** Limit of a long name or a pax header. */
const MAX_EXTENSION_BYTES = 64 * 1024

interface Overrides {
  path?: string
  linkPath?: string
  size?: number
}

/**
 * All regular files and links by normalised name. Of several members with one name, the last
 * counts. Throws `invalid-content` for a file that is no tar archive.
 */
export async function readOuterMembers(
  file: FileHandle,
  archive: string,
): Promise<Map<string, OuterMember>> {
  const { size: archiveBytes } = await file.stat()
  const members = new Map<string, OuterMember>()
  const block = Buffer.alloc(BLOCK)
  let next: Overrides = {}
  let position = 0
  for (let count = 0; position + BLOCK <= archiveBytes; count++) {
    await file.read(block, 0, BLOCK, position)
    if (block.every((byte) => byte === 0)) break
    if (!hasValidChecksum(block)) throw broken(archive, `no tar header at byte ${position}`)
    if (count === MAX_MEMBERS) throw broken(archive, `more than ${MAX_MEMBERS} members`)
    const type = String.fromCharCode(block[156] ?? 0)
    const extension = 'xgLK'.includes(type)
    const sizeBytes = extension ? sizeOf(block) : (next.size ?? sizeOf(block))
    const offset = position + BLOCK
    const known = Number.isSafeInteger(sizeBytes) && sizeBytes >= 0 && sizeBytes <= MAX_BLOB_BYTES
    if (!known || offset + sizeBytes > archiveBytes) {
      throw broken(archive, `the member at byte ${position} goes beyond the archive's end`)
    }
    if (extension) {
      if (sizeBytes > MAX_EXTENSION_BYTES) throw broken(archive, 'an extended header is too large')
      const bytes = Buffer.alloc(sizeBytes)
      await file.read(bytes, 0, sizeBytes, offset)
      next = { ...next, ...overridesFrom(type, bytes) }
    } else {
      const name = normalName(next.path ?? nameOf(block))
      const linkTarget = next.linkPath ?? textOf(block, 157, 100)
      if (type === '0' || type === '\0') {
        members.set(name, { offset, sizeBytes, linkKind: undefined, linkTarget: undefined })
      } else if (type === '1' || type === '2') {
        const linkKind = type === '1' ? 'hard' : 'symbolic'
        members.set(name, { offset, sizeBytes: 0, linkKind, linkTarget })
      }
      next = {}
    }
    position = offset + Math.ceil(sizeBytes / BLOCK) * BLOCK
  }
  if (members.size === 0) throw broken(archive, 'not a tar archive, or an empty one')
  return members
}

function overridesFrom(type: string, bytes: Buffer): Overrides {
  if (type === 'L') return { path: textOf(bytes, 0, bytes.length) }
  if (type === 'K') return { linkPath: textOf(bytes, 0, bytes.length) }
  if (type === 'g') return {}
  const found: Overrides = {}
  let at = 0
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(bytes.toString('latin1', at, Math.max(at, space)))
    if (space < 0 || !Number.isInteger(length) || length < space - at + 2) break
    const record = bytes.toString('utf8', space + 1, at + length - 1)
    const [key, ...rest] = record.split('=')
    const value = rest.join('=')
    if (key === 'path') found.path = value
    if (key === 'linkpath') found.linkPath = value
    if (key === 'size') found.size = Number(value)
    at += length
  }
  return found
}

/** The size field: octal text, or GNU's base-256 for sizes from 8 GiB. NaN for anything else. */
function sizeOf(block: Buffer): number {
  if (((block[124] ?? 0) & 0x80) !== 0) {
    let value = 0
    for (const byte of block.subarray(125, 136)) value = value * 256 + byte
    return value
  }
  const text = textOf(block, 124, 12).trim()
  return /^[0-7]*$/.test(text) ? parseInt(text || '0', 8) : NaN
}

function nameOf(block: Buffer): string {
  const name = textOf(block, 0, 100)
  const isUstar = textOf(block, 257, 5) === 'ustar'
  const prefix = isUstar && block[262] === 0 ? textOf(block, 345, 155) : ''
  return prefix === '' ? name : `${prefix}/${name}`
}

function normalName(name: string): string {
  return posix.normalize(name).replace(/^(?:\.?\/)+/, '')
}

function textOf(bytes: Buffer, from: number, length: number): string {
  const field = bytes.subarray(from, from + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? field.length : end)
}

function hasValidChecksum(block: Buffer): boolean {
  let sum = 0
  for (const [i, byte] of block.entries()) sum += i >= 148 && i < 156 ? 0x20 : byte
  return parseInt(textOf(block, 148, 8).trim(), 8) === sum
}

function broken(archive: string, reason: string): SnapshotterError {
  return new SnapshotterError('invalid-content', `image archive ${archive}: ${reason}`)
}
