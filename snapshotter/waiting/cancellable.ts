/**
 * Waits for work that cannot be stopped. The wait ends when the signal fires, but the work goes on.
 */
import { SnapshotterError } from '../errors.js'

/**
 * Resolves or rejects as `work` does, or throws `cancelled` as soon as `signal` fires. `attempt`
 * names the work in the message.
 */
export async function cancellable<T>(
  work: Promise<T>,
  signal: AbortSignal,
  attempt: string,
): Promise<T> {
  let stop: () => void = () => undefined
  const aborted = new Promise<never>((_resolve, reject) => {
    const onAbort = (): void => {
      reject(new SnapshotterError('cancelled', `${attempt}: cancelled`, { cause: signal.reason }))
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    stop = () => {
      signal.removeEventListener('abort', onAbort)
    }
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    stop()
  }
}
