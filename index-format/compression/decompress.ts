/**
 * Turns a layer blob into its tar bytes. The compression is detected from the first bytes, because
 * media types are not always right. For any input, at most a few chunks are in memory, and the
 * output is bounded.
 */
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { IndexFormatError } from '../errors.js'
import { escapeBytes } from '../escape.js'
import { MAX_LAYER_RAW_BYTES } from '../limits.js'
import { unzstd } from './unzstd.js'

export type Compression = 'none' | 'gzip' | 'zstd'

export interface DecompressOptions {
  /** Output bytes after which `limit-exceeded` is thrown. Default: MAX_LAYER_RAW_BYTES. */
  readonly maxRawBytes?: number
  /** Names the input in messages. Default: `layer`. */
  readonly name?: string
  /** Called once with the detected compression, before the first byte. */
  readonly onCompression?: (compression: Compression) => void
}

/** Bytes from which the compression is detected: one block, which is a whole tar header. */
const HEAD_BYTES = 512
const OUTPUT_CHUNK_BYTES = 256 * 1024

/**
 * The compression of an input with the first bytes `head`: 512 bytes, or all bytes of a shorter
 * input. `undefined` if the input is neither gzip nor zstd nor a tar archive. An empty input counts
 * as an empty archive, `none`.
 */
export function compressionOf(head: Uint8Array): Compression | undefined {
  if (head.length === 0) return 'none'
  // RFC 1952, 2.3.1: ID1, ID2, and CM 8, the only method there is.
  if (head[0] === 0x1f && head[1] === 0x8b && head[2] === 8) return 'gzip'
  if (head.length >= 4) {
    const magic = Buffer.from(head.buffer, head.byteOffset, 4).readUInt32LE(0)
    // RFC 8878, 3.1.1 and 3.1.2: a frame, or one of the sixteen kinds of skippable frame.
    if (magic === 0xfd2fb528 || (magic & 0xfffffff0) >>> 0 === 0x184d2a50) return 'zstd'
  }
  return looksLikeTar(head) ? 'none' : undefined
}

/**
 * The uncompressed bytes of `source`: a plain tar archive, gzip of any number of members, or zstd
 * of any number of frames. Throws `invalid-compression` for other or damaged input, `truncated`
 * when the input ends too early, and `limit-exceeded` beyond `maxRawBytes`. Errors of the source
 * pass through. Leaving the loop early ends the source.
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { maxRawBytes = MAX_LAYER_RAW_BYTES, name = 'layer' } = options
  const { head, whole } = await withHead(source)
  const compression = compressionOf(head)
  if (compression === undefined) {
    await closeOf(whole)
    throw new IndexFormatError(
      'invalid-compression',
      `${name}: begins with "${escapeBytes(head.subarray(0, 8))}", which is neither gzip, zstd nor a tar archive`,
    )
  }
  options.onCompression?.(compression)
  let rawBytes = 0
  for await (const chunk of opened(whole, compression, name)) {
    rawBytes += chunk.length
    if (rawBytes > maxRawBytes) {
      throw new IndexFormatError(
        'limit-exceeded',
        `${name}: expands beyond the limit of ${String(maxRawBytes)} bytes`,
      )
    }
    yield chunk
  }
}

function opened(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  name: string,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case 'none':
      return source
    case 'gzip':
      return gunzip(source, name)
    case 'zstd':
      return unzstd(source, name)
  }
}

async function* gunzip(
  source: AsyncIterable<Uint8Array>,
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const input = Readable.from(source, { objectMode: false, highWaterMark: OUTPUT_CHUNK_BYTES })
  // zlib works in libuv's thread pool: the archive is read while the next chunk is inflated.
  const inflate = createGunzip({ chunkSize: OUTPUT_CHUNK_BYTES })
  let sourceError: Error | undefined
  input.on('error', (error) => {
    sourceError = error
    inflate.destroy(error)
  })
  input.pipe(inflate)
  try {
    for await (const chunk of inflate) yield chunk as Buffer
  } catch (error) {
    if (error === sourceError) throw error
    throw errorOfZlib(error, name)
  } finally {
    input.destroy()
    inflate.destroy()
  }
}

function errorOfZlib(error: unknown, name: string): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  if (error.code === 'Z_BUF_ERROR') {
    return new IndexFormatError('truncated', `${name}: the gzip stream ends too early`, {
      cause: error,
    })
  }
  if (typeof error.code === 'string' && error.code.startsWith('Z_')) {
    return new IndexFormatError('invalid-compression', `${name}: damaged gzip: ${error.message}`, {
      cause: error,
    })
  }
  return error
}

async function withHead(
  source: AsyncIterable<Uint8Array>,
): Promise<{ head: Uint8Array; whole: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]()
  const chunks: Uint8Array[] = []
  let length = 0
  while (length < HEAD_BYTES) {
    const next = await iterator.next()
    if (next.done === true) break
    chunks.push(next.value)
    length += next.value.length
  }
  const [first] = chunks
  const joined = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
  return { head: joined.subarray(0, HEAD_BYTES), whole: rejoin(joined, iterator) }
}

async function* rejoin(
  first: Uint8Array,
  rest: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    if (first.length > 0) yield first
    for (let next = await rest.next(); next.done !== true; next = await rest.next()) {
      yield next.value
    }
  } finally {
    await rest.return?.()
  }
}

async function closeOf(source: AsyncIterable<Uint8Array>): Promise<void> {
  // A generator that never ran skips its finally block. So it is run up to its first chunk.
  const iterator = source[Symbol.asyncIterator]()
  await iterator.next()
  await iterator.return?.()
}

function looksLikeTar(head: Uint8Array): boolean {
  if (head.length < HEAD_BYTES) return false
  const magic = Buffer.from(head.buffer, head.byteOffset + 257, 5).toString('latin1')
  if (magic === 'ustar') return true
  // A v7 header has no magic, and an empty archive is all zeros. The tar reader checks the rest.
  return head.every((byte) => byte === 0) || hasOctalChecksum(head)
}

function hasOctalChecksum(head: Uint8Array): boolean {
  const field = Buffer.from(head.buffer, head.byteOffset + 148, 8).toString('latin1')
  return /^ *[0-7]+[ \0]*$/.test(field)
}
