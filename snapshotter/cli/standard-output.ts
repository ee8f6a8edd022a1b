/** Standard output as a sink that waits for a slow reader and does not mind one that leaves. */
import { pipeline } from 'node:stream/promises'
import { systemErrorCode } from '../../index-format/system-error.js'

/** Writes everything. A reader that went away (`| head`) ends it without an error. */
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
