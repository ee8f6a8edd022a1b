/**
 * The place in a layer that a member's path names. Paths are cleaned by their text alone, as
 * containerd does. They are latin1 strings, one character per byte, so that they can be keys of a
 * map. They are never read as UTF-8.
 */
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'
import { MAX_NAME_BYTES } from '../limits.js'

export interface MemberPath {
  /** The cleaned path of the directory, without slashes at its ends; empty for the root. */
  readonly parent: string
  /** The last component. */
  readonly base: Buffer
}

/**
 * The cleaned path, or `undefined` when it is the root itself. Throws `invalid-layer` for an
 * absolute path and when `..` climbs above the root, `limit-exceeded` for a component over
 * MAX_NAME_BYTES; `what` names the member.
 */
export function memberPathOf(path: Uint8Array, what: string): MemberPath | undefined {
  const text = Buffer.from(path.buffer, path.byteOffset, path.byteLength).toString('latin1')
  if (text.startsWith('/')) {
    throw new IndexFormatError(
      'invalid-layer',
      `${what}: "${escapePath(text)}" is an absolute name; a layer names what is in it from its own root`,
    )
  }
  // Nearly every path is clean except for a leading "./" or a trailing slash.
  const from = text.startsWith('./') ? 2 : 0
  const trimmed = text.slice(from, text.endsWith('/') ? Math.max(from, text.length - 1) : undefined)
  const clean = isClean(trimmed) ? trimmed : cleaned(text, what)
  if (clean === '') return undefined
  const slash = clean.lastIndexOf('/')
  checkNames(clean, what)
  return {
    parent: slash === -1 ? '' : clean.slice(0, slash),
    base: Buffer.from(clean.slice(slash + 1), 'latin1'),
  }
}

/** The path that a symlink in `directory` leads to. It stays inside the root, as with chroot(2). */
export function linkedPath(directory: string, target: Uint8Array): string {
  const text = Buffer.from(target.buffer, target.byteOffset, target.byteLength).toString('latin1')
  const joined = text.startsWith('/') ? text : `${directory}/${text}`
  const { parts } = partsOf(joined)
  return parts.join('/')
}

/** A latin1 path as bytes. */
export function pathBytes(path: string): Buffer {
  return Buffer.from(path, 'latin1')
}

/** A latin1 path for a message. */
export function escapePath(path: string): string {
  return escapeBytes(pathBytes(path))
}

function cleaned(text: string, what: string): string {
  const { parts, climbs } = partsOf(text)
  if (!climbs) return parts.join('/')
  throw new IndexFormatError(
    'invalid-layer',
    `${what}: "${escapePath(text)}" leads out of the layer; the way up ends at its root`,
  )
}

/**
 * The components of a path, with `.` and `..` resolved by the text alone. `climbs` says whether a
 * `..` had no component left to remove.
 */
function partsOf(text: string): { parts: string[]; climbs: boolean } {
  const parts: string[] = []
  let climbs = false
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') parts.push(part)
    else if (parts.pop() === undefined) climbs = true
  }
  return { parts, climbs }
}

const UNCLEAN = /(?:^|\/)(?:\.{0,2})(?:\/|$)/

function isClean(text: string): boolean {
  return !UNCLEAN.test(text)
}

function checkNames(path: string, what: string): void {
  if (path.length <= MAX_NAME_BYTES) return
  for (const name of path.split('/')) {
    if (name.length > MAX_NAME_BYTES) {
      throw new IndexFormatError(
        'limit-exceeded',
        `${what}: the name "${escapePath(name)}" has ${name.length} bytes, the limit is ${MAX_NAME_BYTES}`,
      )
    }
  }
}
