/** The findings of an offline verification. The set of codes is closed. A test provokes each. */

export type FindingCode =
  /** The file cannot be read as an index at all. */
  | 'unreadable-index'
  /** A version that this build does not read. */
  | 'unsupported-version'
  /** The file's digest is not the expected one. */
  | 'index-digest-mismatch'
  /** SQLite finds the file's pages damaged. */
  | 'damaged-page'
  /** A value that its column may not hold. */
  | 'invalid-row'
  /** A count in the meta table that is not the real one. */
  | 'wrong-count'
  /** Inode numbers that are not in the order in which a writer gives them. */
  | 'not-canonical'
  /** The root is missing or not a directory, or something names it. */
  | 'invalid-root'
  /** A name whose inode does not exist. */
  | 'dangling-entry'
  /** A name whose parent does not exist or is not a directory. */
  | 'orphan-entry'
  /** A directory with more than one name. */
  | 'linked-directory'
  /** A directory that is below itself. */
  | 'directory-cycle'
  /** An inode that no path leads to. */
  | 'unreachable-inode'
  | 'wrong-nlink'
  /** Extended attributes of an inode that does not exist. */
  | 'dangling-xattr'
  /** Extents of an inode that does not exist or is not a regular file. */
  | 'dangling-extent'
  /** Two extents of a file cover the same bytes; one of them may be the one in the inode's row. */
  | 'overlapping-extents'
  | 'extent-outside-file'
  | 'extent-outside-pack'
  /** An extent in a pack that the index does not list. */
  | 'unknown-pack'
  /** The extents of a file do not add up to the bytes it stores. */
  | 'wrong-stored-bytes'
  /** A pack that no extent refers to. */
  | 'unused-pack'
  /** Two packs with one digest. */
  | 'duplicate-pack'
  /** Frames of a pack that the index does not list. */
  | 'dangling-frame'
  /** Frames that do not follow each other, or do not fill their pack. */
  | 'frame-gap'
  /** A pack that the store does not have. */
  | 'missing-pack'
  /** A pack file of another size than the index says. */
  | 'pack-size-mismatch'
  | 'pack-digest-mismatch'
  /** The table at the end of a pack cannot be read. */
  | 'invalid-pack-table'
  /** The table at the end of a pack is not the one in the index. */
  | 'pack-table-mismatch'
  /** A frame that is not a single zstd frame of the claimed sizes. */
  | 'invalid-frame'
  | 'frame-digest-mismatch'

export interface Finding {
  readonly code: FindingCode
  /** The place, for a person to look at: table and key, pack, or frame. */
  readonly where: string
  /** The value found, and the value expected. */
  readonly detail: string
}
