/**
 * Checks values before a writer puts them into an index. A writer refuses exactly the values that a
 * reader would refuse. A tree is our own code, but its attributes come from an archive.
 */
import { IndexFormatError } from '../errors.js'
import { isRegular } from '../file-mode.js'
import {
  MAX_FILE_BYTES,
  MAX_LINK_TARGET_BYTES,
  MAX_MTIME_SEC,
  MAX_NAME_BYTES,
  MAX_NSEC,
  MAX_U32,
  MAX_XATTR_LIST_BYTES,
  MAX_XATTR_NAME_BYTES,
  MAX_XATTR_VALUE_BYTES,
  MAX_XATTRS_PER_INODE,
} from '../limits.js'
import type { Inode, Xattr } from '../tree/tree.js'
import { hasFileType } from './row.js'

const SLASH = 0x2f
const DOT = 0x2e

export function checkedInode(inode: Inode): Inode {
  const { ino } = inode
  within(inode.mode, 0, 0o177777, ino, 'mode')
  if (!hasFileType(inode.mode)) {
    throw refused('invalid-index', ino, `mode 0${inode.mode.toString(8)} is of no known file type`)
  }
  within(inode.uid, 0, MAX_U32, ino, 'uid')
  within(inode.gid, 0, MAX_U32, ino, 'gid')
  within(inode.nlink, 1, MAX_U32, ino, 'nlink')
  within(inode.sizeBytes, 0, MAX_FILE_BYTES, ino, 'size')
  within(inode.storedBytes, 0, inode.sizeBytes, ino, 'stored bytes')
  within(inode.rdev, 0, MAX_U32, ino, 'rdev')
  within(inode.mtimeSec, 0, MAX_MTIME_SEC, ino, 'mtime seconds')
  within(inode.mtimeNsec, 0, MAX_NSEC, ino, 'mtime nanoseconds')
  if (!isRegular(inode.mode) && inode.storedBytes !== 0) {
    throw refused('invalid-index', ino, 'stored bytes, but not a regular file')
  }
  return inode
}

/** `parent` is for the message only. */
export function checkedName(name: Uint8Array, parent: number): void {
  within(name.length, 1, MAX_NAME_BYTES, parent, 'bytes of a name in it')
  const dots = name[0] === DOT && (name.length === 1 || (name.length === 2 && name[1] === DOT))
  if (dots || name.includes(SLASH) || name.includes(0)) {
    throw refused('invalid-index', parent, 'a name in it is ".", ".." or holds a slash or a NUL')
  }
}

export function checkedTarget(target: Uint8Array | undefined, inode: Inode): Uint8Array {
  if (target?.length !== inode.sizeBytes) {
    const found = target === undefined ? 'is missing' : `has ${target.length} bytes`
    throw refused('invalid-index', inode.ino, `its target ${found}, its size is ${inode.sizeBytes}`)
  }
  within(target.length, 1, MAX_LINK_TARGET_BYTES, inode.ino, 'bytes of the target')
  return target
}

/** Throws unless the names are in byte order, each once, and all sizes are within the limits. */
export function checkedXattrs(xattrs: readonly Xattr[], ino: number): readonly Xattr[] {
  within(xattrs.length, 0, MAX_XATTRS_PER_INODE, ino, 'attributes')
  let listBytes = 0
  let previous: Uint8Array | undefined
  for (const { name, value } of xattrs) {
    within(name.length, 1, MAX_XATTR_NAME_BYTES, ino, 'bytes of an attribute name')
    within(value.length, 0, MAX_XATTR_VALUE_BYTES, ino, 'bytes of an attribute value')
    if (name.includes(0)) throw refused('invalid-index', ino, 'an attribute name holds a NUL')
    if (previous !== undefined && Buffer.compare(previous, name) >= 0) {
      throw refused('invalid-index', ino, 'its attributes are not in order of name')
    }
    previous = name
    listBytes += name.length + 1
  }
  within(listBytes, 0, MAX_XATTR_LIST_BYTES, ino, 'bytes of the attribute list')
  return xattrs
}

function within(value: number, min: number, max: number, ino: number, what: string): void {
  if (Number.isSafeInteger(value) && value >= min && value <= max) return
  throw refused('limit-exceeded', ino, `${what}: ${value}, expected ${min} to ${max}`)
}

function refused(
  code: 'invalid-index' | 'limit-exceeded',
  ino: number,
  complaint: string,
): IndexFormatError {
  return new IndexFormatError(code, `write index: inode ${ino}: ${complaint}`)
}
