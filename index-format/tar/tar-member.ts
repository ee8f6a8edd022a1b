/**
 * One member of a tar archive as the archive says it: nothing is cleaned, resolved or dropped here.
 * What a layer makes of it is `LayerBuilder`'s matter.
 */
import type { Xattr } from '../tree/tree.js'

export type TarMemberKind =
  'file' | 'directory' | 'symlink' | 'hardlink' | 'char' | 'block' | 'fifo'

/** A run of a sparse file's bytes that the archive holds. */
export interface SparseRun {
  /** Where in the file, bytes. */
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
  /** As the archive has it: a safe integer, perhaps negative or over 32 bits. */
  readonly uid: number
  readonly gid: number
  /** The file's length once it is unpacked, holes included; 0 unless a file. */
  readonly sizeBytes: number
  /** 0 unless char or block. */
  readonly devMajor: number
  readonly devMinor: number
  /** Seconds since 1970, perhaps negative. */
  readonly mtimeSec: number
  /** 0 to 999,999,999, counted forward from `mtimeSec`. */
  readonly mtimeNsec: number
  /** The `SCHILY.xattr.` records, namespace included, in the order of the archive. */
  readonly xattrs: readonly Xattr[]
  /** The runs that `body` holds, in order, without overlap; `undefined` unless the member is sparse. */
  readonly sparse: readonly SparseRun[] | undefined
  /** Bytes that `body` yields. */
  readonly storedBytes: number
  /**
   * The stored bytes, once, in chunks that are views of the source's chunks. What is not consumed
   * before the next member is asked for is skipped.
   */
  readonly body: AsyncIterable<Uint8Array>
}
