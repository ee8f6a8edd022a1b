/** Compresses an index (a SQLite file) into a zstd blob for the store, and fetches it back. */
import { createHash } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { open, rm, stat } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { CompressStream } from 'zstd-napi'
import { type Digest, IndexFormatError, decompress } from '../../../index-format/index.js'
import { SnapshotterError, type SnapshotterErrorCode } from '../../errors.js'
import type { BlobFile } from './blob-publisher.js'
import type { PublishStore } from './publish-store.js'
import type { KnownIndex } from './publish-database.js'

/**
 * zstd level of index blobs. Each node reads an index once, but the store keeps it for good. Level
 * 9 costs a second per million files.
 */
const INDEX_LEVEL = 9
/**
 * zstd level of an index that travels with a recorded start, because it is a good part of the bytes
 * that a start receives. Level 19 makes it 8 % smaller and costs 0.8 s per MB.
 */
const STARTUP_INDEX_LEVEL = 19
/**
 * Largest index that gets STARTUP_INDEX_LEVEL: 13 s of compression. Larger ones get INDEX_LEVEL.
 */
const MAX_STARTUP_INDEX_BYTES = 16 * 1024 ** 2
const CHUNK_BYTES = 256 * 1024

/** Compresses the file at `indexPath` into a new file at `blobPath`. */
export async function compressIndex(
  indexPath: string,
  blobPath: string,
  signal: AbortSignal,
): Promise<BlobFile> {
  return compressAt(INDEX_LEVEL, indexPath, blobPath, signal)
}

/** `compressIndex` for an index that travels with a recorded start: smaller, and slower to make. */
export async function compressStartupIndex(
  indexPath: string,
  blobPath: string,
  signal: AbortSignal,
): Promise<BlobFile> {
  const { size } = await stat(indexPath)
  const level = size <= MAX_STARTUP_INDEX_BYTES ? STARTUP_INDEX_LEVEL : INDEX_LEVEL
  return compressAt(level, indexPath, blobPath, signal)
}

async function compressAt(
  compressionLevel: number,
  indexPath: string,
  blobPath: string,
  signal: AbortSignal,
): Promise<BlobFile> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  const compress = new CompressStream({ compressionLevel })
  await pipeline(
    createReadStream(indexPath, { highWaterMark: CHUNK_BYTES }),
    compress,
    async function* (pieces: AsyncIterable<Uint8Array>) {
      for await (const piece of pieces) {
        hash.update(piece)
        sizeBytes += piece.length
        yield piece
      }
    },
    createWriteStream(blobPath, { flags: 'wx', mode: 0o600 }),
    { signal },
  )
  const digest: Digest = `sha256:${hash.digest('hex')}`
  return { digest, sizeBytes, path: blobPath }
}

/**
 * Fetches an index that was stored before into a new file at `path` and verifies it. Returns false,
 * and leaves no file, if the store no longer has the index or has wrong bytes for it. Throws the
 * store's other errors.
 */
export async function fetchIndex(
  index: KnownIndex,
  path: string,
  store: PublishStore,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await fetchVerified(index, path, store, signal)
    return true
  } catch (error) {
    await rm(path, { force: true })
    const wrong =
      error instanceof IndexFormatError ||
      (error instanceof SnapshotterError && WRONG.has(error.code))
    if (wrong) return false
    throw error
  }
}

const WRONG: ReadonlySet<SnapshotterErrorCode> = new Set(['invalid-content', 'not-found'])

async function fetchVerified(
  index: KnownIndex,
  path: string,
  store: PublishStore,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256')
  let sizeBytes = 0
  const raw = decompress(store.read(index.blob, signal), {
    maxRawBytes: index.sizeBytes,
    name: `index ${index.digest}`,
  })
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const piece of raw) {
      hash.update(piece)
      sizeBytes += piece.length
      await file.writeFile(piece)
    }
  } finally {
    await file.close()
  }
  const found = `sha256:${hash.digest('hex')}`
  if (found === index.digest && sizeBytes === index.sizeBytes) return
  throw new SnapshotterError(
    'invalid-content',
    `index ${index.digest} of ${store.name}: its blob unpacks to ${found}`,
  )
}
