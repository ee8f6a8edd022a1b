/** The time limit of one request of the kernel: the longest time that a program's call waits. */
import { FusefsError } from '../errors.js'
import { ScopedSignal } from './scoped-signal.js'

/** Default of the time limit. */
export const DEFAULT_REQUEST_DEADLINE_MS = 60_000

/**
 * A signal for the work behind one request. It is aborted when `caller` is aborted. It is also
 * aborted, with the reason `fetch-timeout`, when `deadlineMs` have passed since the request came.
 * `waitedMs` of this time have passed already. The caller closes it.
 */
export function requestDeadline(
  caller: AbortSignal,
  options: { readonly deadlineMs: number; readonly waitedMs?: number },
): ScopedSignal {
  const { deadlineMs, waitedMs = 0 } = options
  return new ScopedSignal(caller, {
    timeoutMs: Math.max(0, deadlineMs - waitedMs),
    timeoutReason: () =>
      new FusefsError('fetch-timeout', `not answered within ${deadlineMs / 1000} s`),
  })
}

/** Whether `signal` was aborted because its request's time was over. */
export function isLate(signal: AbortSignal): boolean {
  return signal.reason instanceof FusefsError && signal.reason.code === 'fetch-timeout'
}
