/** Maps errors to exit statuses, in the same way for all commands. */
import { FusefsError, type FusefsErrorCode } from '../../fusefs/index.js'
import { IndexFormatError } from '../../index-format/index.js'
import { SnapshotterError, type SnapshotterErrorCode } from '../errors.js'
import { EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INTERRUPTED, EXIT_UNREACHABLE } from './exit-status.js'

const OF_SNAPSHOTTER: Readonly<Record<SnapshotterErrorCode, number>> = {
  'not-found': EXIT_BAD_INPUT,
  'already-exists': EXIT_BAD_INPUT,
  'invalid-argument': EXIT_BAD_INPUT,
  'failed-precondition': EXIT_BAD_INPUT,
  unavailable: EXIT_UNREACHABLE,
  unauthorized: EXIT_UNREACHABLE,
  'invalid-content': EXIT_BAD_INPUT,
  cancelled: EXIT_INTERRUPTED,
  internal: EXIT_FAILED,
}

const OF_FUSEFS: Readonly<Record<FusefsErrorCode, number>> = {
  'fetch-failed': EXIT_UNREACHABLE,
  'blob-not-found': EXIT_BAD_INPUT,
  'fetch-timeout': EXIT_UNREACHABLE,
  'truncated-answer': EXIT_UNREACHABLE,
  'verification-failed': EXIT_BAD_INPUT,
  'cache-io': EXIT_FAILED,
  'tree-unavailable': EXIT_BAD_INPUT,
  overloaded: EXIT_UNREACHABLE,
  'stale-node': EXIT_FAILED,
  'not-a-directory': EXIT_BAD_INPUT,
  'is-a-directory': EXIT_BAD_INPUT,
  'beyond-end': EXIT_BAD_INPUT,
  'mount-failed': EXIT_FAILED,
  protocol: EXIT_FAILED,
  'invalid-argument': EXIT_BAD_INPUT,
  aborted: EXIT_INTERRUPTED,
}

/** The exit status of a command that ended with this error. */
export function exitCodeFromError(error: unknown): number {
  if (error instanceof SnapshotterError) return OF_SNAPSHOTTER[error.code]
  if (error instanceof FusefsError) return OF_FUSEFS[error.code]
  if (error instanceof IndexFormatError) return EXIT_BAD_INPUT
  return error instanceof Error && error.name === 'AbortError' ? EXIT_INTERRUPTED : EXIT_FAILED
}
