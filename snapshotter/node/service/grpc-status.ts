/**
 * Maps this layer's error codes to gRPC status codes. containerd turns the status back into its own
 * errors and acts on them: already-exists and not-found are part of the protocol.
 */
import { type ServiceError, status } from '@grpc/grpc-js'
import type { SnapshotterError, SnapshotterErrorCode } from '../../errors.js'

const STATUS: Readonly<Record<SnapshotterErrorCode, status>> = {
  'not-found': status.NOT_FOUND,
  'already-exists': status.ALREADY_EXISTS,
  'invalid-argument': status.INVALID_ARGUMENT,
  'failed-precondition': status.FAILED_PRECONDITION,
  unavailable: status.UNAVAILABLE,
  unauthorized: status.UNAUTHENTICATED,
  'invalid-content': status.DATA_LOSS,
  cancelled: status.CANCELLED,
  internal: status.INTERNAL,
}

/** Details travel in an HTTP/2 header; Go's clients accept 16 KiB of headers in all by default. */
const MAX_DETAILS_LENGTH = 4096

/** The gRPC status of a failed request. A message over 4096 characters is cut. */
export function statusFromError(error: SnapshotterError): Partial<ServiceError> {
  return { code: STATUS[error.code], details: error.message.slice(0, MAX_DETAILS_LENGTH) }
}
