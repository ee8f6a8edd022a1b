/** Compares the results of stat(2), readlink(2) and listxattr(2) for two files. */
import type { Inode, Tree, Xattr } from '../../../index-format/index.js'
import { escapeName } from '../../trees/escape-name.js'
import { deviceNumbers } from '../listed-file.js'
import type { Difference } from './difference.js'

/** A file in its tree. */
export interface FileInTree {
  readonly tree: Tree
  readonly inode: Inode
}

/** Bytes of an attribute's value that are printed. */
const SHOWN_VALUE_BYTES = 64

/**
 * Yields every difference in attributes; content is compared elsewhere. If the types differ,
 * nothing else is compared. `storedBytes` is not compared, because a hole equals zeros.
 */
export function* compareInodes(
  path: Uint8Array,
  expected: FileInTree,
  actual: FileInTree,
): Generator<Difference> {
  const [a, b] = [expected.inode, actual.inode]
  if (typeOf(a.mode) !== typeOf(b.mode)) {
    yield { kind: 'type', path, expected: typeName(a.mode), actual: typeName(b.mode) }
    return
  }
  if (a.mode !== b.mode) {
    yield { kind: 'mode', path, expected: octal(a.mode), actual: octal(b.mode) }
  }
  for (const kind of ['uid', 'gid', 'nlink'] as const) {
    if (a[kind] !== b[kind]) yield { kind, path, expected: `${a[kind]}`, actual: `${b[kind]}` }
  }
  if (a.sizeBytes !== b.sizeBytes) {
    yield { kind: 'size', path, expected: `${a.sizeBytes}`, actual: `${b.sizeBytes}` }
  }
  if (a.rdev !== b.rdev)
    yield { kind: 'rdev', path, expected: device(a.rdev), actual: device(b.rdev) }
  if (a.mtimeSec !== b.mtimeSec || a.mtimeNsec !== b.mtimeNsec) {
    yield { kind: 'mtime', path, expected: time(a), actual: time(b) }
  }
  if (a.implied !== b.implied) {
    yield { kind: 'implied', path, expected: `${a.implied}`, actual: `${b.implied}` }
  }
  yield* compareTargets(path, expected, actual)
  yield* compareXattrs(path, expected.tree.xattrs(a.ino), actual.tree.xattrs(b.ino))
}

function* compareTargets(
  path: Uint8Array,
  expected: FileInTree,
  actual: FileInTree,
): Generator<Difference> {
  if (typeOf(expected.inode.mode) !== 0o120000) return
  const a = expected.tree.readlink(expected.inode.ino)
  const b = actual.tree.readlink(actual.inode.ino)
  if (equalBytes(a, b)) return
  yield { kind: 'target', path, expected: shown(a), actual: shown(b) }
}

function* compareXattrs(
  path: Uint8Array,
  expected: readonly Xattr[],
  actual: readonly Xattr[],
): Generator<Difference> {
  const rest = new Map(actual.map((xattr) => [hex(xattr.name), xattr]))
  for (const { name, value } of expected) {
    const other = rest.get(hex(name))
    rest.delete(hex(name))
    const where = { path, name: escapeName(name), expected: shownValue(value) }
    if (other === undefined) yield { kind: 'xattr-missing', ...where, actual: 'nothing' }
    else if (!equalBytes(value, other.value)) {
      yield { kind: 'xattr-value', ...where, actual: shownValue(other.value) }
    }
  }
  for (const { name, value } of rest.values()) {
    const extra = { expected: 'nothing', actual: shownValue(value) }
    yield { kind: 'xattr-extra', path, name: escapeName(name), ...extra }
  }
}

/** The name of the file type in `mode`. */
export function typeName(mode: number): string {
  switch (typeOf(mode)) {
    case 0o010000:
      return 'fifo'
    case 0o020000:
      return 'character device'
    case 0o040000:
      return 'directory'
    case 0o060000:
      return 'block device'
    case 0o100000:
      return 'regular file'
    case 0o120000:
      return 'symbolic link'
    case 0o140000:
      return 'socket'
  }
  return `file of unknown type ${octal(mode)}`
}

function typeOf(mode: number): number {
  return mode & 0o170000
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, '0')
}

function device(rdev: number): string {
  const { major, minor } = deviceNumbers(rdev)
  return `${major}:${minor}`
}

function time(inode: Inode): string {
  return `${inode.mtimeSec}.${inode.mtimeNsec.toString().padStart(9, '0')}`
}

function equalBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

function shown(bytes: Uint8Array | undefined): string {
  return bytes === undefined ? 'nothing' : `"${escapeName(bytes)}"`
}

/** The value in hex, which is exact; values are more often binary than text. */
function shownValue(value: Uint8Array): string {
  const digits = hex(value.subarray(0, SHOWN_VALUE_BYTES))
  return value.length <= SHOWN_VALUE_BYTES ? `0x${digits}` : `0x${digits}… (${value.length} bytes)`
}
