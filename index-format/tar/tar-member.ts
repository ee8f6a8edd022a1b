/**
 * One member of a tar archive, with the values of the archive: nothing is cleaned, resolved or
 * dropped here. `LayerBuilder` applies members to a layer.
 */
import type { Xattr } from '../tree/tree.js'

export type TarMemberKind =
  'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'

/** A run of a sparse file's bytes that the archive holds. */
export interface SparseRun {
  /** Position in the file, in bytes. */
  readonly offset: number
  /** Bytes; at least 1. */
  readonly length: number
}

export interface TarMember {
  readonly kind: TarMemberKind
  /** Raw bytes, at most MAX_MEMBER_PATH_BYTES, without NUL; a directory's may end in a slash. */
  readonly path: Uint8Array
  /** The target of a symlink or hardlink, raw bytes without NUL; else empty. */
  readonly linkTarget: Uint8Array
  /** Permission bits with setuid, setgid and sticky: 0 to 0o7777. */
  readonly mode: number
  /** As in the archive: a safe integer, perhaps negative or over 32 bits. `gid` too. */
  readonly uid: number
  readonly gid: number
  /** The file's length once it is unpacked, holes included; 0 unless the member is a file. */
  readonly sizeBytes: number
  /** Device numbers: 0 unless the kind is `char` or `block`. */
  readonly devMajor: number
  readonly devMinor: number
  /** Seconds since 1970, perhaps negative. */
  readonly mtimeSec: number
  /** 0 to 999,999,999, counted forward from `mtimeSec`. */
  readonly mtimeNsec: number
  /** The `SCHILY.xattr.` records, namespace included, in the order of the archive. */
  readonly xattrs: readonly Xattr[]
  /** The runs that `body` holds, in order, without overlap; `undefined` unless it is sparse. */
  readonly sparse: readonly SparseRun[] | undefined
  /** Bytes that `body` yields. */
  readonly storedBytes: number
  /**
   * The stored bytes, in chunks that are views of the source's chunks. They can be iterated once.
   * Bytes not consumed before the next member is requested are skipped.
   */
  readonly body: AsyncIterable<Uint8Array>
}
