/**
 * Whiteouts: marks for names that a layer deletes. In an archive a whiteout is a name with a prefix
 * (OCI image-spec, layer.md, "Whiteouts"). In a tree it has overlayfs's form
 * (Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
 */
import { S_IFCHR, S_IFMT } from '../file-mode.js'
import type { Inode, Xattr } from '../tree/tree.js'

const PREFIX = Buffer.from('.wh.')
const META_PREFIX = Buffer.from('.wh..wh.')
const OPAQUE_MARKER = Buffer.from('.wh..wh..opq')

/** Marks a directory that hides the same directory in the layers below; its value is `y`. */
export const OPAQUE_XATTR = 'trusted.overlay.opaque'
/** The same mark for an overlayfs mounted with `userxattr`. */
export const USER_OPAQUE_XATTR = 'user.overlay.opaque'
/** Attributes that overlayfs hides: they cannot be seen through a mount. */
const PRIVATE_PREFIX = Buffer.from('trusted.overlay.')

/** The mode of whiteouts from `.wh.` members. A device 0:0 in an archive keeps its own mode. */
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
  /** Hides everything that the layers below have in the member's directory. */
  | { readonly kind: 'opaque' }
  /** A name that aufs reserves. */
  | { readonly kind: 'ignored' }

const NONE: WhiteoutMember = { kind: 'none' }

/**
 * The kind of member that this base name means. The `name` of a whiteout may be empty, "." or "..":
 * the caller refuses these.
 */
export function whiteoutOf(base: Buffer): WhiteoutMember {
  if (base[0] !== 0x2e || !startsWith(base, PREFIX)) return NONE
  if (base.equals(OPAQUE_MARKER)) return { kind: 'opaque' }
  // containerd makes a whiteout here, for a name that no layer can have. It has no visible effect.
  if (startsWith(base, META_PREFIX)) return { kind: 'ignored' }
  return { kind: 'whiteout', name: base.subarray(PREFIX.length) }
}

/** Whether overlayfs takes the inode for a whiteout: any character device 0:0. */
export function isWhiteout(inode: Inode): boolean {
  return (inode.mode & S_IFMT) === S_IFCHR && inode.rdev === 0
}

/** Whether a directory with these attributes hides the layers below it. */
export function isOpaque(xattrs: readonly Xattr[]): boolean {
  return xattrs.some(
    ({ name, value }) => sameBytes(name, OPAQUE_XATTR) && value.length === 1 && value[0] === 0x79,
  )
}

/** Those of `xattrs`, the attributes of an inode, that a mount of overlayfs shows. */
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
