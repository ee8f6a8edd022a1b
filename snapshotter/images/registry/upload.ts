/**
 * A chunked upload (distribution-spec, "Pushing a blob in chunks"): for content whose size and
 * digest are not known before its end. One chunk is held in memory, so that it can be repeated.
 */
import { createHash } from 'node:crypto'
import type { Answer } from '../../../fusefs/index.js'
import type { Digest } from '../../../index-format/index.js'
import { SnapshotterError } from '../../errors.js'
import type { RegistryClient, RegistryRetries } from './registry-client.js'
import { BLOB_EXCHANGE_TIMEOUT_MS, SMALL_EXCHANGE_TIMEOUT_MS } from './registry-limits.js'

export interface ChunkedUpload {
  /** What the registry named when it opened the upload. */
  readonly url: URL
  readonly content: AsyncIterable<Uint8Array>
  readonly what: string
  readonly signal: AbortSignal
  /** Default 16 MiB: S3 behind a registry takes no parts under 5 MiB. */
  readonly chunkBytes?: number
}

const DEFAULT_CHUNK_BYTES = 16 * 1024 * 1024

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
  /** Where the chunk stands in the blob. */
  readonly offset: number
  readonly what: string
  readonly signal: AbortSignal
}

/** Sends one chunk, and returns where the next one goes. */
async function sendChunk(piece: Chunk, client: RegistryClient): Promise<URL> {
  const { what, signal } = piece
  const retries = client.retries({ what, signal })
  try {
    return await sendWithRetries(piece, retries, client)
  } finally {
    retries.close()
  }
}

/** A chunk that failed may have arrived: the registry is asked how far it is before the next attempt. */
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

/** How many bytes the registry has, which is where the upload must go on. */
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
  // An empty upload is told as `0-0`, the same as one byte; ours never have chunks of one byte alone.
  const receivedBytes = last === undefined || last === '0' ? 0 : Number(last) + 1
  return { receivedBytes, url: nextLocation(answer, url) }
}

function nextLocation(answer: Answer, url: URL): URL {
  const location = answer.header('location')
  if (location === undefined || !URL.canParse(location, url.href)) return url
  return new URL(location, url)
}

/** The same bytes in pieces of exactly `chunkBytes`, the last one excepted. */
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
