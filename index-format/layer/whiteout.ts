/**
 * What a layer deletes. In an archive it is a name with a prefix (OCI image-spec, layer.md,
 * "Whiteouts"); in a tree it is what overlayfs understands (Documentation/filesystems/overlayfs.rst,
 * "whiteouts and opaque directories").
 */
import { S_IFCHR, S_IFMT } from '../file-mode.js'
import type { Inode, Xattr } from '../tree/tree.js'

const PREFIX = Buffer.from('.wh.')
const META_PREFIX = Buffer.from('.wh..wh.')
const OPAQUE_MARKER = Buffer.from('.wh..wh..opq')

/** Marks a directory that hides the same directory in the layers below; its value is `y`. */
export const OPAQUE_XATTR = 'trusted.overlay.opaque'
/** The same for overlayfs mounted with `userxattr`. */
export const USER_OPAQUE_XATTR = 'user.overlay.opaque'
/** overlayfs keeps these to itself: nobody sees them through a mount. */
const PRIVATE_PREFIX = Buffer.from('trusted.overlay.')

/** The mode of the whiteouts that members ask for; devices 0:0 of an archive bring their own. */
export const WHITEOUT_MODE = S_IFCHR

const OPAQUE_VALUE = Buffer.from('y')

/** The two attributes of an opaque directory, in byte order of name. */
export const OPAQUE_XATTRS: readonly Xattr[] = [OPAQUE_XATTR, USER_OPAQUE_XATTR].map((name) => ({
  name: Buffer.from(name),
  value: OPAQUE_VALUE,
}))

export type WhiteoutMember =
  /** An ordinary member. */
  | { readonly kind: 'none' }
  /** Hides `name` of the same directory. */
  | { readonly kind: 'whiteout'; readonly name: Buffer }
  /** Hides what the layers below have in the directory it stands in. */
  | { readonly kind: 'opaque' }
  /** A name that aufs kept for itself. */
  | { readonly kind: 'ignored' }

const NONE: WhiteoutMember = { kind: 'none' }

/** What a member with this base name deletes. An empty `name`, or a dot or two, is the caller's to refuse. */
export function whiteoutOf(base: Buffer): WhiteoutMember {
  if (base[0] !== 0x2e || !startsWith(base, PREFIX)) return NONE
  if (base.equals(OPAQUE_MARKER)) return { kind: 'opaque' }
  // containerd makes a whiteout of it for a name that no layer can have: nothing anybody sees.
  if (startsWith(base, META_PREFIX)) return { kind: 'ignored' }
  return { kind: 'whiteout', name: base.subarray(PREFIX.length) }
}

/** Whether overlayfs takes the inode for a whiteout: a character device 0:0, wherever it comes from. */
export function isWhiteout(inode: Inode): boolean {
  return (inode.mode & S_IFMT) === S_IFCHR && inode.rdev === 0
}

/** Whether a directory with these attributes hides the layers below it. */
export function isOpaque(xattrs: readonly Xattr[]): boolean {
  return xattrs.some(
    ({ name, value }) => sameBytes(name, OPAQUE_XATTR) && value.length === 1 && value[0] === 0x79,
  )
}

/** The attributes that a mount of overlayfs shows of an inode with these. */
export function visibleXattrs(xattrs: Xattr[]): Xattr[] {
  if (xattrs.length === 0) return xattrs
  const opaque = isOpaque(xattrs)
  return xattrs.filter(
    ({ name }) =>
      !startsWith(name, PRIVATE_PREFIX) && !(opaque && sameBytes(name, USER_OPAQUE_XATTR)),
  )
}

function startsWith(bytes: Uint8Array, prefix: Buffer): boolean {
  return bytes.length >= prefix.length && prefix.equals(bytes.subarray(0, prefix.length))
}

function sameBytes(bytes: Uint8Array, text: string): boolean {
  return bytes.length === text.length && Buffer.from(text).equals(bytes)
}
