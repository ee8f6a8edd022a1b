/** An index as it travels: the SQLite file, zstd-compressed into a blob, and back. */
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

/** Indexes are read once by each node, and stored for good; level 9 costs a second per million files. */
const INDEX_LEVEL = 9
/**
 * Beside a recorded start an index is a good part of what a start receives. Level 19 takes 8 % off
 * it, and 0.8 s per MB.
 */
const STARTUP_INDEX_LEVEL = 19
/** 13 s of compression. A larger index is level 9's whatever is beside it. */
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
 * Fetches an index that was stored before into a new file at `path`. False, and there is no file:
 * what the store has is not the index any more.
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
