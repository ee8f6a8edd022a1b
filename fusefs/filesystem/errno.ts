/** The only mapping from the errors of this layer and of index-format to errno. */
import { constants } from 'node:os'
import { IndexFormatError } from '../../index-format/reading.js'
import { FusefsError, type FusefsErrorCode } from '../errors.js'

/**
 * Positive numbers, as in errno(3). They are the asm-generic numbers, which are the same on every
 * Linux architecture that Node supports.
 */
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

/** The errno, positive, with which a request that failed with `error` is answered. */
export function errnoOf(error: unknown): number {
  if (error instanceof FusefsError) return errnoOfCode(error.code)
  // Any other error (an invalid index, SQLite, a bug) is an input/output error to a program.
  return ERRNO.EIO
}

/** Whether the answer needs a part of an index that has not arrived yet. */
export function isIncomplete(error: unknown): boolean {
  return error instanceof IndexFormatError && error.code === 'incomplete-index'
}

/** Whether a failure is a fault of this node, an index or a store, and therefore must be logged. */
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
    // Not EAGAIN: no program expects EAGAIN from a file, and poll(2) cannot wait for a lower load.
    case 'overloaded':
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
