/** Lets one waiter give up on a promise while the work behind it goes on for other waiters. */

/** Settles as `work` does. Rejects with the reason of `signal` as soon as `signal` is aborted. */
export async function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  // After an abort nobody handles a failure of `work`. It must not count as unhandled.
  work.catch(() => undefined)
  signal.throwIfAborted()
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)))
    }
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', onAbort)
    })
  })
}
