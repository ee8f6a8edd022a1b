/** The one error class of this layer. `service/` maps its codes to gRPC status. */

export type SnapshotterErrorCode =
  /** containerd's ErrNotFound: no such snapshot, image, blob. */
  | 'not-found'
  /** containerd's ErrAlreadyExists. */
  | 'already-exists'
  /** containerd's ErrInvalidArgument: a request, a configuration key, a command line. */
  | 'invalid-argument'
  /** containerd's ErrFailedPrecondition: a thing is in the wrong state for the operation. */
  | 'failed-precondition'
  /** containerd's ErrUnavailable: a store, a registry, a daemon cannot be reached. */
  | 'unavailable'
  /** A registry refused our credentials. */
  | 'unauthorized'
  /** A registry or a local store broke its protocol, or content is not what its digest says. */
  | 'invalid-content'
  /** The caller gave up, or a deadline passed. */
  | 'cancelled'
  /** A program, a file or the database failed. */
  | 'internal'

export class SnapshotterError extends Error {
  override readonly name = 'SnapshotterError'
  readonly code: SnapshotterErrorCode

  constructor(code: SnapshotterErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.code = code
  }

  /**
   * Turns a caught value into a `SnapshotterError`. A `SnapshotterError` is returned unchanged. Any
   * other value becomes the cause of an `internal` error. `attempt` names the operation that
   * failed, for example `open the store /x`.
   */
  static from(reason: unknown, attempt: string): SnapshotterError {
    if (reason instanceof SnapshotterError) return reason
    const message = reason instanceof Error ? reason.message : String(reason)
    return new SnapshotterError('internal', `${attempt}: ${message}`, { cause: reason })
  }
}
