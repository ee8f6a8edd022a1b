/** Repeats work after a temporary failure, such as a read from a store that restarts. */
import { FusefsError } from '../errors.js'
import { systemTiming, type Timing } from '../http/timing.js'
import { isLate } from './request-deadline.js'

export interface PatienceOptions {
  /** An abort ends the work and the waits. */
  readonly signal: AbortSignal
  /** Upper bound of the errors' `retryForMs`. Default: no bound. */
  readonly atMostMs?: number
  readonly timing?: Pick<Timing, 'random' | 'sleep'>
  /** Milliseconds that only grow. Default `performance.now`. */
  readonly now?: () => number
}

/**
 * The first wait. Each further wait is twice as long, up to `LONGEST_WAIT_MS`. Each wait is
 * shortened by a random part of up to one half.
 */
const FIRST_WAIT_MS = 100
const LONGEST_WAIT_MS = 1_000
/** Number of causes that are searched. Errors of other layers may wrap an error of this layer. */
const MAX_CAUSES = 8

/**
 * Calls `work` until it succeeds, or until the `FusefsError.retryForMs` of its last error have
 * passed since the first call. Throws the last error. If `signal` is aborted during a wait, throws
 * its reason. If that reason is a deadline, the message also has the last error.
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

/** Whether `error` is temporary and the operator wants to wait until it has passed. */
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
