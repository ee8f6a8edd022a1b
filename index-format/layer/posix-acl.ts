/**
 * POSIX access control lists in the form that extended attributes have: version 2 of
 * linux/posix_acl_xattr.h. Two rules matter for layers: an inode made in a directory inherits the
 * directory's default list, and chmod(2) rewrites an inode's access list.
 */

export const ACCESS_ACL = 'system.posix_acl_access'
export const DEFAULT_ACL = 'system.posix_acl_default'

const VERSION = 2
const HEADER_BYTES = 4
const ENTRY_BYTES = 8
const NO_ID = 0xffffffff

/** Tags of linux/posix_acl.h. */
const USER_OBJ = 0x01
const USER = 0x02
const GROUP_OBJ = 0x04
const GROUP = 0x08
const MASK = 0x10
const OTHER = 0x20

export interface AclEntry {
  readonly tag: number
  /** rwx bits. */
  readonly perm: number
  /** The user or group of a USER or GROUP entry; NO_ID in others. */
  readonly id: number
}

export type ParsedAcl =
  /** A list that the kernel refuses (EINVAL). */
  | { readonly kind: 'invalid' }
  /** A list of a version that the kernel does not know (EOPNOTSUPP). */
  | { readonly kind: 'unsupported' }
  /** A list without entries: setting it removes the attribute. */
  | { readonly kind: 'empty' }
  | { readonly kind: 'acl'; readonly entries: readonly AclEntry[] }

/** Parses an attribute's value as the kernel does when it is set. */
export function parseAcl(value: Uint8Array): ParsedAcl {
  if (value.length === 0) return { kind: 'empty' }
  if (value.length < HEADER_BYTES) return { kind: 'invalid' }
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
  if (bytes.readUInt32LE(0) !== VERSION) return { kind: 'unsupported' }
  if ((bytes.length - HEADER_BYTES) % ENTRY_BYTES !== 0) return { kind: 'invalid' }
  const entries: AclEntry[] = []
  for (let at = HEADER_BYTES; at < bytes.length; at += ENTRY_BYTES) {
    const tag = bytes.readUInt16LE(at)
    const named = tag === USER || tag === GROUP
    const id = named ? bytes.readUInt32LE(at + 4) : NO_ID
    if (named && id === NO_ID) return { kind: 'invalid' }
    entries.push({ tag, perm: bytes.readUInt16LE(at + 2), id })
  }
  if (entries.length === 0) return { kind: 'empty' }
  return isValid(entries) ? { kind: 'acl', entries } : { kind: 'invalid' }
}

/** The attribute's value as the kernel gives it back. */
export function encodeAcl(entries: readonly AclEntry[]): Uint8Array {
  const bytes = Buffer.alloc(HEADER_BYTES + ENTRY_BYTES * entries.length)
  bytes.writeUInt32LE(VERSION, 0)
  entries.forEach(({ tag, perm, id }, i) => {
    const at = HEADER_BYTES + ENTRY_BYTES * i
    bytes.writeUInt16LE(tag, at)
    bytes.writeUInt16LE(perm, at + 2)
    bytes.writeUInt32LE(id, at + 4)
  })
  return bytes
}

/**
 * The access list after chmod(2) to `mode`. `undefined` if it says no more than the mode: then the
 * kernel stores no list.
 */
export function aclAfterChmod(
  entries: readonly AclEntry[],
  mode: number,
): readonly AclEntry[] | undefined {
  if (!entries.some(({ tag }) => tag === USER || tag === GROUP || tag === MASK)) return undefined
  const masked = entries.some(({ tag }) => tag === MASK)
  return entries.map((entry) => {
    if (entry.tag === USER_OBJ) return { ...entry, perm: (mode >> 6) & 7 }
    if (entry.tag === OTHER) return { ...entry, perm: mode & 7 }
    if (entry.tag === (masked ? MASK : GROUP_OBJ)) return { ...entry, perm: (mode >> 3) & 7 }
    return entry
  })
}

/** posix_acl_valid of the kernel: each class once, in order; a mask if there are named entries. */
function isValid(entries: readonly AclEntry[]): boolean {
  const order = [USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER]
  let last = -1
  for (const { tag, perm } of entries) {
    const place = order.indexOf(tag)
    const repeatable = tag === USER || tag === GROUP
    if (place < last || perm > 7 || (place === last && !repeatable)) return false
    last = place
  }
  const has = (tag: number): boolean => entries.some((entry) => entry.tag === tag)
  const named = has(USER) || has(GROUP)
  return has(USER_OBJ) && has(GROUP_OBJ) && has(OTHER) && (!named || has(MASK))
}
