/** Waits for what happens in another process. */
import { setTimeout as sleep } from 'node:timers/promises'

/** Calls `attempt` until it does not throw. After `timeoutMs` (default 60,000) its error is thrown. */
export async function eventually<T>(attempt: () => T | Promise<T>, timeoutMs = 60_000): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await sleep(30)
    }
  }
}
