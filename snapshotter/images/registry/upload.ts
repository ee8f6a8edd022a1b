/**
 * Uploads a blob in chunks (distribution-spec, "Pushing a blob in chunks"), for content whose size
 * and digest are not known before its end. One chunk is held in memory, so that it can be sent
 * again.
 */
import { createHash } from 'node:crypto'
import type { Answer } from '../../../fusefs/index.js'
import type { Digest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { RegistryClient, RegistryRetries } from './registry-client.js'
import { BLOB_EXCHANGE_TIMEOUT_MS, SMALL_EXCHANGE_TIMEOUT_MS } from './registry-limits.js'

export interface ChunkedUpload {
  /** The location that the registry gave when it opened the upload. */
  readonly url: URL
  readonly content: AsyncIterable<Uint8Array>
  /** The beginning of messages. */
  readonly what: string
  readonly signal: AbortSignal
  /** Default 16 MiB. S3, behind a registry, accepts no parts under 5 MiB. */
  readonly chunkBytes?: number
}

const DEFAULT_CHUNK_BYTES = 16 * 1024 * 1024

/** Returns the digest and size of the content. Throws the errors of `RegistryClient`. */
export async function uploadChunks(
  upload: ChunkedUpload,
  client: RegistryClient,
): Promise<{ digest: Digest; sizeBytes: number }> {
  const { what, signal } = upload
  const hash = createHash('sha256')
  let url = upload.url
  let sizeBytes = 0
  for await (const chunk of chunksOf(upload.content, upload.chunkBytes ?? DEFAULT_CHUNK_BYTES)) {
    hash.update(chunk)
    url = await sendChunk({ url, chunk, offset: sizeBytes, what, signal }, client)
    sizeBytes += chunk.length
  }
  const digest: Digest = `sha256:${hash.digest('hex')}`
  const last = new URL(url)
  last.searchParams.set('digest', digest)
  await client.send({
    method: 'PUT',
    url: last,
    what,
    headers: { 'content-length': '0' },
    expect: [201, 204],
    timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
    signal,
  })
  return { digest, sizeBytes }
}

interface Chunk {
  readonly url: URL
  readonly chunk: Uint8Array
  /** Position of the chunk in the blob, in bytes. */
  readonly offset: number
  readonly what: string
  readonly signal: AbortSignal
}

/** Sends one chunk. Returns the URL for the next one. */
async function sendChunk(piece: Chunk, client: RegistryClient): Promise<URL> {
  const { what, signal } = piece
  const retries = client.retries({ what, signal })
  try {
    return await sendWithRetries(piece, retries, client)
  } finally {
    retries.close()
  }
}

/**
 * Sends one chunk. After a failure the registry may have the chunk nevertheless. So each further
 * attempt first asks the registry how many bytes it has.
 */
async function sendWithRetries(
  piece: Chunk,
  retries: RegistryRetries,
  client: RegistryClient,
): Promise<URL> {
  const { chunk, offset, what, signal } = piece
  const end = offset + chunk.length
  let url = piece.url
  for (;;) {
    try {
      const answer = await client.send({
        method: 'PATCH',
        url,
        what,
        headers: {
          'content-type': 'application/octet-stream',
          'content-length': String(chunk.length),
          'content-range': `${String(offset)}-${String(end - 1)}`,
        },
        body: () => chunk,
        expect: [202, 204],
        timeoutMs: BLOB_EXCHANGE_TIMEOUT_MS,
        attempts: 1,
        signal,
      })
      return nextLocation(answer, url)
    } catch (error) {
      await retries.failed(error)
    }
    const state = await uploadState(url, what, signal, client)
    if (state.receivedBytes === end) return state.url
    if (state.receivedBytes !== offset) {
      throw new SnapshotterError(
        'unavailable',
        `${what}: the registry holds ${String(state.receivedBytes)} bytes of a broken chunk that ` +
          `begins at ${String(offset)}; start again`,
      )
    }
    url = state.url
  }
}

/** Asks the registry how many bytes of the upload it has. The next chunk begins at that offset. */
async function uploadState(
  url: URL,
  what: string,
  signal: AbortSignal,
  client: RegistryClient,
): Promise<{ receivedBytes: number; url: URL }> {
  const answer = await client.send({
    method: 'GET',
    url,
    what,
    expect: [200, 202, 204],
    timeoutMs: SMALL_EXCHANGE_TIMEOUT_MS,
    signal,
  })
  const last = /^(?:bytes=)?0-(\d+)$/.exec(answer.header('range') ?? '')?.[1]
  // Registries answer `0-0` for an empty upload as well as for one byte. It is taken as empty,
  // because we never send a first chunk of a single byte.
  const receivedBytes = last === undefined || last === '0' ? 0 : Number(last) + 1
  return { receivedBytes, url: nextLocation(answer, url) }
}

function nextLocation(answer: Answer, url: URL): URL {
  const location = answer.header('location')
  if (location === undefined || !URL.canParse(location, url.href)) return url
  return new URL(location, url)
}

/** The bytes of `content` in pieces of `chunkBytes`. The last piece may be shorter. */
async function* chunksOf(
  content: AsyncIterable<Uint8Array>,
  chunkBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let chunk = Buffer.alloc(chunkBytes)
  let filled = 0
  for await (const piece of content) {
    let rest = piece
    while (rest.length > 0) {
      const taken = rest.subarray(0, chunkBytes - filled)
      chunk.set(taken, filled)
      filled += taken.length
      rest = rest.subarray(taken.length)
      if (filled < chunkBytes) continue
      yield chunk
      chunk = Buffer.alloc(chunkBytes)
      filled = 0
    }
  }
  if (filled > 0) yield chunk.subarray(0, filled)
}
