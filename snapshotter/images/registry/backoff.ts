/** How long to wait before the next try: exponential, full jitter, and what the server asks for. */
import { setTimeout as sleep } from 'node:timers/promises'
import { RETRY_BASE_MS, RETRY_CAP_MS } from './registry-limits.js'

/** Waits before try number `attempt` (2 is the first repetition). Throws when `signal` aborts. */
export async function backOff(
  attempt: number,
  retryAfterMs: number,
  signal: AbortSignal,
): Promise<void> {
  const ceilingMs = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** (attempt - 2))
  const waitMs = Math.max(Math.random() * ceilingMs, Math.min(retryAfterMs, RETRY_CAP_MS))
  await sleep(waitMs, undefined, { signal })
}

/** The seconds form of `Retry-After` in milliseconds; 0 for anything else. */
export function retryAfterMs(header: string | undefined): number {
  const seconds = Number(header ?? 0)
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0
}
