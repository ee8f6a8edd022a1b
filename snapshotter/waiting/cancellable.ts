/** Waiting for what cannot be stopped itself: the wait ends with the signal, the work may go on. */
import { SnapshotterError } from '../errors.js'

/** The result of `work`, or `cancelled` as soon as `signal` fires. `attempt` says what was waited for. */
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
