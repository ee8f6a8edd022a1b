/** A blob as a stream that is whole and right when it ends without an error. */
import { createHash } from 'node:crypto'
import type { Digest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import { backOff } from './backoff.js'
import { BLOB_EXCHANGE_TIMEOUT_MS, MAX_ATTEMPTS } from './registry-limits.js'
import { type Answer, type Transport, discard } from './transport.js'

export interface BlobQuestion {
  readonly digest: Digest
  readonly sizeBytes: number
  readonly url: URL
  /** The repository, for messages. */
  readonly from: string
  readonly signal: AbortSignal
}

/**
 * Yields the blob's bytes in order. A body that breaks off is asked for again from where it stopped;
 * tries without a single new byte are bounded. Throws `invalid-content` when there are too many
 * bytes or their digest is wrong.
 */
export async function* verifiedBlob(
  question: BlobQuestion,
  transport: Transport,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { digest, sizeBytes, from, signal } = question
  const what = `GET blob ${digest} from ${from}`
  const hash = createHash('sha256')
  let done = 0
  let fruitless = 0
  do {
    const answer = await request(question, what, done, transport)
    const before = done
    // A server that does not know ranges sends the whole blob again.
    let skip = answer.status === 206 ? 0 : done
    let broken: unknown
    try {
      for await (const piece of answer.body as AsyncIterable<Uint8Array>) {
        if (skip >= piece.length) {
          skip -= piece.length
          continue
        }
        const fresh = piece.subarray(skip)
        skip = 0
        done += fresh.length
        if (done > sizeBytes) throw wrong(what, `it has more than ${String(sizeBytes)} bytes`)
        hash.update(fresh)
        yield fresh
      }
    } catch (cause) {
      if (cause instanceof SnapshotterError) throw cause
      if (signal.aborted) throw new SnapshotterError('cancelled', `${what}: cancelled`, { cause })
      broken = cause
    } finally {
      await discard(answer)
    }
    if (done === sizeBytes) break
    fruitless = done > before ? 0 : fruitless + 1
    if (fruitless === MAX_ATTEMPTS) throw brokenOff(what, done, sizeBytes, broken)
    await backOff(2 + fruitless, 0, signal)
  } while (done < sizeBytes)
  const found = hash.digest('hex')
  if (digest !== `sha256:${found}`) throw wrong(what, `its bytes have digest sha256:${found}`)
}

function request(
  question: BlobQuestion,
  what: string,
  offset: number,
  transport: Transport,
): Promise<Answer> {
  return transport.send({
    method: 'GET',
    url: question.url,
    what,
    headers: offset === 0 ? {} : { range: `bytes=${String(offset)}-` },
    expect: offset === 0 ? [200] : [200, 206],
    timeoutMs: BLOB_EXCHANGE_TIMEOUT_MS,
    signal: question.signal,
  })
}

function wrong(what: string, reason: string): SnapshotterError {
  return new SnapshotterError('invalid-content', `${what}: ${reason}`)
}

function brokenOff(what: string, done: number, size: number, cause: unknown): SnapshotterError {
  return new SnapshotterError(
    'unavailable',
    `${what}: broke off after ${String(done)} of ${String(size)} bytes`,
    { cause },
  )
}
