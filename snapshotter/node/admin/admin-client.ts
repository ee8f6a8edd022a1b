/** A client of a running daemon's admin socket. */
import { Client } from 'undici'
import { SnapshotterError } from '../../errors.js'

const ANSWER_TIMEOUT_MS = 30_000

/**
 * Sends `method path` to the daemon on `socketPath` and returns the body of its answer. Throws
 * `unavailable` where no daemon answers within 30 s, or where `signal` fires. Throws `internal`,
 * with the daemon's message, for any status but 200.
 */
export async function askDaemon(
  socketPath: string,
  method: 'GET' | 'POST',
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const client = new Client('http://daemon', {
    connect: { socketPath },
    headersTimeout: ANSWER_TIMEOUT_MS,
    bodyTimeout: ANSWER_TIMEOUT_MS,
  })
  try {
    const { statusCode, body } = await client.request({ method, path, signal })
    const text = await body.text()
    if (statusCode === 200) return text
    throw new SnapshotterError('internal', `${method} ${path}: the daemon says: ${text.trim()}`)
  } catch (cause) {
    if (cause instanceof SnapshotterError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SnapshotterError(
      'unavailable',
      `no daemon answers on ${socketPath} (${why}); is thin-snapshotterd running with this configuration?`,
      { cause },
    )
  } finally {
    await client.destroy()
  }
}
