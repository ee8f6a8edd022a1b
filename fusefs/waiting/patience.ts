/** Repeats work that failed in a way that may pass, such as a read from a store that restarts. */
import { FusefsError } from '../errors.js'
import { systemTiming, type Timing } from '../http/timing.js'
import { isLate } from './request-deadline.js'

export interface PatienceOptions {
  /** Ends the work and the waits. */
  readonly signal: AbortSignal
  /** Bounds what the errors allow. */
  readonly atMostMs?: number
  readonly timing?: Pick<Timing, 'random' | 'sleep'>
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: () => number
}

/** The first wait; it doubles up to the longest, and a random half of each is left out. */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 1_000
/** Errors of other layers that may be wrapped around one of this layer. */
const MAX_CAUSES = 8

/**
 * Calls `work` until it succeeds, or until its error says that it is not worth trying again: see
 * `FusefsError.retryForMs`. That time begins with the first call. Throws the last error, and the
 * reason of `signal` with the last error in its message when a deadline ended a wait.
 */
export async function patiently<T>(work: () => Promise<T>, options: PatienceOptions): Promise<T> {
  const { signal, atMostMs = Infinity, timing = systemTiming } = options
  const now = options.now ?? (() => performance.now())
  const startedMs = now()
  for (let waitMs = FIRST_WAIT_MS; ; waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS)) {
    try {
      return await work()
    } catch (error) {
      const leftMs = startedMs + Math.min(retryForMsOf(error), atMostMs) - now()
      if (leftMs <= 0 || signal.aborted) throw error
      await sleepBetween(error, Math.min(leftMs, waitMs * (0.5 + timing.random() / 2)), {
        signal,
        timing,
      })
    }
  }
}

/** Whether `error` may pass, and the operator wants to wait for that. */
export function mayPass(error: unknown): boolean {
  return retryForMsOf(error) > 0
}

/** `FusefsError.retryForMs` of `error`, or of the nearest of its causes that has one. */
function retryForMsOf(error: unknown): number {
  let cause = error
  for (let i = 0; i < MAX_CAUSES && cause instanceof Error; i++) {
    if (cause instanceof FusefsError && cause.retryForMs > 0) return cause.retryForMs
    cause = cause.cause
  }
  return 0
}

async function sleepBetween(
  error: unknown,
  waitMs: number,
  { signal, timing }: { signal: AbortSignal; timing: Pick<Timing, 'sleep'> },
): Promise<void> {
  try {
    await timing.sleep(waitMs, signal)
  } catch (cause) {
    if (!signal.aborted) throw cause
    if (!isLate(signal)) throw signal.reason ?? cause
    const last = error instanceof Error ? error.message : String(error)
    const message = `${messageOf(signal.reason)}; the last attempt: ${last}`
    throw new FusefsError('fetch-timeout', message, { cause: error })
  }
}

function messageOf(reason: unknown): string {
  return reason instanceof Error ? reason.message : String(reason)
}
