/** The one error class of this layer, and the table from its codes to errno. */

export type FusefsErrorCode =
  /** A store could not be reached, or answered with an error, after all retries. */
  | 'fetch-failed'
  /** A store says that the blob does not exist. */
  | 'blob-not-found'
  /** A store did not answer within the deadline. */
  | 'fetch-timeout'
  /** A store sent fewer bytes than asked for. */
  | 'truncated-answer'
  /** Bytes from a store or from the local cache do not have the digest they must have. */
  | 'verification-failed'
  /** The local cache cannot be read or written. */
  | 'cache-io'
  /** A tree's index is not there or cannot be read. */
  | 'tree-unavailable'
  /** A node id that no tree of this mount has (any more). */
  | 'stale-node'
  /** A directory was needed. */
  | 'not-a-directory'
  /** Anything but a directory was needed. */
  | 'is-a-directory'
  /** SEEK_DATA or SEEK_HOLE at or behind the end of the file. */
  | 'beyond-end'
  /** mount(8), fusermount or /dev/fuse refused. */
  | 'mount-failed'
  /** The kernel spoke something we do not understand. */
  | 'protocol'
  /** A store URL, an option or a request that cannot be used as it is: readlink of a file. */
  | 'invalid-argument'
  /** The caller gave up. */
  | 'aborted'

export class FusefsError extends Error {
  override readonly name = 'FusefsError'
  readonly code: FusefsErrorCode

  constructor(code: FusefsErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }
}
