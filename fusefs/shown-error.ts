/** How errors appear in the log. */
import { FusefsError, type FusefsErrorCode } from './errors.js'

/**
 * The fields of a log line for an error. An expected error is the fault of a store and not of this
 * program. It appears as its message, without the stack.
 */
export function fieldsOfError(error: unknown): { reason: string } | { err: unknown } {
  if (error instanceof FusefsError && isExpected(error.code)) return { reason: error.message }
  return { err: error }
}

/** The part of an error that is the same each time it happens. */
export function kindOfError(error: unknown): string {
  if (error instanceof FusefsError) return error.code
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

function isExpected(code: FusefsErrorCode): boolean {
  switch (code) {
    case 'fetch-failed':
    case 'blob-not-found':
    case 'fetch-timeout':
    case 'truncated-answer':
    case 'verification-failed':
    case 'aborted':
    case 'overloaded':
      return true
    case 'cache-io':
    case 'tree-unavailable':
    case 'stale-node':
    case 'not-a-directory':
    case 'is-a-directory':
    case 'beyond-end':
    case 'mount-failed':
    case 'protocol':
    case 'invalid-argument':
      return false
  }
}
