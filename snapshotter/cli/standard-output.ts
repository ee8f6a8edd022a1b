/** Writes to standard output. Waits for a slow reader, and stops when the reader goes away. */
import { pipeline } from 'node:stream/promises'
import { systemErrorCode } from '../../index-format/system-error.js'

/**
 * Writes all chunks. Resolves early, without an error, when the reader goes away (`| head`).
 * Rejects with an AbortError when `signal` aborts.
 */
export async function writeOut(
  chunks: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  signal: AbortSignal,
): Promise<void> {
  try {
    await pipeline(chunks, process.stdout, { end: false, signal })
  } catch (error) {
    if (systemErrorCode(error) !== 'EPIPE') throw error
  }
}
