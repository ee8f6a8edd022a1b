/**
 * The extended attributes of an inode after a member was applied to it: those that containerd's
 * sequence of chown, setxattr and chmod leaves on ext4.
 */
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'
import { isDirectory, isRegular, isSymlink } from '../file-mode.js'
import { MAX_XATTR_LIST_BYTES, MAX_XATTRS_PER_INODE } from '../limits.js'
import type { Xattr } from '../tree/tree.js'
import { ACCESS_ACL, aclAfterChmod, DEFAULT_ACL, encodeAcl, parseAcl } from './posix-acl.js'

const CAPABILITY = 'security.capability'
/** Sizes of `struct vfs_cap_data`, versions 2 and 3 (linux/capability.h). Others cannot be set. */
const CAPABILITY_BYTES = [20, 24]

/** An inode's attributes by name in latin1. */
export type XattrMap = Map<string, Uint8Array>

export interface XattrChange {
  /** The inode's `st_mode` once the member is applied. */
  readonly mode: number
  readonly xattrs: readonly Xattr[]
  /** The member, for messages. */
  readonly what: string
}

/**
 * Applies `change` to `current`, the attributes of an inode. Throws `invalid-layer` for an
 * attribute that a filesystem refuses, and `limit-exceeded` for too many.
 */
export function changeXattrs(current: XattrMap, change: XattrChange): void {
  // chown(2) removes capabilities, except those of a directory.
  if (!isDirectory(change.mode)) current.delete(CAPABILITY)
  for (const xattr of change.xattrs) setXattr(current, xattr, change)
  const access = current.get(ACCESS_ACL)
  if (access !== undefined) {
    const parsed = parseAcl(access)
    const after = parsed.kind === 'acl' ? aclAfterChmod(parsed.entries, change.mode) : undefined
    if (after === undefined) current.delete(ACCESS_ACL)
    else current.set(ACCESS_ACL, encodeAcl(after))
  }
  checkList(current, change.what)
}

/** The attributes of an inode of this `mode`, just made in a directory that has `parentXattrs`. */
export function inheritedXattrs(parentXattrs: XattrMap, mode: number): XattrMap {
  const inherited: XattrMap = new Map()
  const list = parentXattrs.get(DEFAULT_ACL)
  if (list === undefined || isSymlink(mode)) return inherited
  const parsed = parseAcl(list)
  if (parsed.kind !== 'acl') return inherited
  const access = aclAfterChmod(parsed.entries, mode)
  if (access !== undefined) inherited.set(ACCESS_ACL, encodeAcl(access))
  if (isDirectory(mode)) inherited.set(DEFAULT_ACL, list)
  return inherited
}

function setXattr(current: XattrMap, { name, value }: Xattr, change: XattrChange): void {
  const key = Buffer.from(name.buffer, name.byteOffset, name.byteLength).toString('latin1')
  if (key === ACCESS_ACL || key === DEFAULT_ACL) {
    setAcl(current, key, value, change)
  } else if (key.startsWith('user.')) {
    if (key === 'user.') throw refused(key, change.what, 'it has no name after the namespace')
    // Only files and directories can have user attributes (xattr(7)). containerd drops the others.
    if (isRegular(change.mode) || isDirectory(change.mode)) current.set(key, value)
  } else if (key.startsWith('security.')) {
    if (key === 'security.') throw refused(key, change.what, 'it has no name after the namespace')
    if (key === CAPABILITY && !CAPABILITY_BYTES.includes(value.length)) {
      throw refused(key, change.what, `${value.length} bytes; capabilities have 20 or 24`)
    }
    current.set(key, value)
  }
  // containerd drops `trusted.*`, and names that no filesystem takes: without a known namespace.
}

function setAcl(current: XattrMap, key: string, value: Uint8Array, change: XattrChange): void {
  if (isSymlink(change.mode)) return
  const parsed = parseAcl(value)
  switch (parsed.kind) {
    case 'unsupported':
      return
    case 'invalid':
      throw refused(key, change.what, 'not a valid access control list')
    case 'empty':
      current.delete(key)
      return
    case 'acl':
      if (key === DEFAULT_ACL && !isDirectory(change.mode)) {
        throw refused(key, change.what, 'only directories have a default list')
      }
      current.set(key, encodeAcl(parsed.entries))
  }
}

function checkList(current: XattrMap, what: string): void {
  let listBytes = 0
  for (const name of current.keys()) listBytes += name.length + 1
  if (current.size > MAX_XATTRS_PER_INODE || listBytes > MAX_XATTR_LIST_BYTES) {
    throw new IndexFormatError(
      'limit-exceeded',
      `${what}: ${current.size} extended attributes with ${listBytes} bytes of names; the limits are ${MAX_XATTRS_PER_INODE} and ${MAX_XATTR_LIST_BYTES}`,
    )
  }
}

function refused(key: string, what: string, why: string): IndexFormatError {
  const name = escapeBytes(Buffer.from(key, 'latin1'))
  return new IndexFormatError('invalid-layer', `${what}: extended attribute ${name}: ${why}`)
}
