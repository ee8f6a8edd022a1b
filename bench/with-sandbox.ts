import { Sandbox } from '../test/sandbox/sandbox.js'

/** Calls `work` with a sandbox. Closes the sandbox at the end, after an error, and on a signal. */
export async function withSandbox<T>(work: (sandbox: Sandbox) => Promise<T>): Promise<T> {
  const sandbox = await Sandbox.start()
  const interrupted = (): void => {
    console.error('interrupted: cleaning up')
    sandbox.close().then(
      () => process.exit(130),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  }
  process.once('SIGINT', interrupted)
  process.once('SIGTERM', interrupted)
  try {
    return await work(sandbox)
  } finally {
    process.off('SIGINT', interrupted)
    process.off('SIGTERM', interrupted)
    await sandbox.close()
  }
}
