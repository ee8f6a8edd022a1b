/** The one table from the errors of this layer and the layer below to errno. */
import { constants } from 'node:os'
import { IndexFormatError } from '../../index-format/reading.js'
import { FusefsError, type FusefsErrorCode } from '../errors.js'

/** Positive, as errno(3) has them (asm-generic: the same on every Linux architecture Node supports). */
export const ERRNO = {
  ENOENT: constants.errno.ENOENT,
  EINTR: constants.errno.EINTR,
  EIO: constants.errno.EIO,
  ENXIO: constants.errno.ENXIO,
  ENOTDIR: constants.errno.ENOTDIR,
  EISDIR: constants.errno.EISDIR,
  EINVAL: constants.errno.EINVAL,
  EROFS: constants.errno.EROFS,
  ERANGE: constants.errno.ERANGE,
  ENODATA: constants.errno.ENODATA,
  ENOSYS: constants.errno.ENOSYS,
  ESTALE: constants.errno.ESTALE,
} as const

/** What the kernel is told about a failure. */
export function errnoOf(error: unknown): number {
  if (error instanceof FusefsError) return errnoOfCode(error.code)
  // An index that breaks its format, SQLite, a bug: all of it is an input/output error to a program.
  return ERRNO.EIO
}

/** Whether an answer has to wait for the rest of an index. */
export function isIncomplete(error: unknown): boolean {
  return error instanceof IndexFormatError && error.code === 'incomplete-index'
}

/** Whether a failure says something about this node's health and belongs into the log. */
export function isFault(error: unknown): boolean {
  return error instanceof IndexFormatError || FAULTS.has(errnoOf(error))
}

const FAULTS: ReadonlySet<number> = new Set([ERRNO.EIO, ERRNO.EINVAL])

function errnoOfCode(code: FusefsErrorCode): number {
  switch (code) {
    case 'fetch-failed':
    case 'blob-not-found':
    case 'fetch-timeout':
    case 'truncated-answer':
    case 'verification-failed':
    case 'cache-io':
    case 'tree-unavailable':
    case 'mount-failed':
      return ERRNO.EIO
    case 'stale-node':
      return ERRNO.ESTALE
    case 'not-a-directory':
      return ERRNO.ENOTDIR
    case 'is-a-directory':
      return ERRNO.EISDIR
    case 'invalid-argument':
    case 'protocol':
      return ERRNO.EINVAL
    case 'beyond-end':
      return ERRNO.ENXIO
    case 'aborted':
      return ERRNO.EINTR
  }
}
