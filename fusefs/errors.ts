/** The one error class of this layer and its codes. `filesystem/errno.ts` maps codes to errno. */

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
  /** A tree's index or the tree registry is missing or cannot be read. */
  | 'tree-unavailable'
  /** Too many requests wait already. */
  | 'overloaded'
  /** No tree of this mount has this node id, or none has it any more. */
  | 'stale-node'
  /** The operation needs a directory and got something else. */
  | 'not-a-directory'
  /** The operation cannot be done on a directory. */
  | 'is-a-directory'
  /** SEEK_DATA or SEEK_HOLE at or after the end of the file, or SEEK_DATA after the last data. */
  | 'beyond-end'
  /** mount(8), fusermount or /dev/fuse refused. */
  | 'mount-failed'
  /** The kernel sent a message that breaks the FUSE protocol, or its protocol is too old. */
  | 'protocol'
  /** A store URL, an option or a request is invalid, for example readlink of a regular file. */
  | 'invalid-argument'
  /** The caller aborted the operation, or the object it was called on was closed. */
  | 'aborted'

export class FusefsError extends Error {
  override readonly name = 'FusefsError'
  readonly code: FusefsErrorCode
  /**
   * How long after the first attempt a retry can still help, in milliseconds. The failure may be
   * temporary: a store may answer again. 0: the failure is permanent, or the operator does not want
   * to wait.
   */
  readonly retryForMs: number

  constructor(
    code: FusefsErrorCode,
    message: string,
    options: { cause?: unknown; retryForMs?: number } = {},
  ) {
    super(message, 'cause' in options ? { cause: options.cause } : {})
    this.code = code
    this.retryForMs = options.retryForMs ?? 0
  }
}
