/**
 * Verifies a store that is a folder, offline. Every blob must have the digest in its name. Packs
 * and indexes must be valid. Every pack that an index names must be there.
 */
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdtemp, opendir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  checkIndex,
  decompress,
  type Digest,
  type Finding,
  type FindingCode,
  Index,
  IndexFormatError,
  isDigest,
  PackReader,
} from '../../../index-format/index.js'
import { FileAccess } from '../file-access.js'
import { digestOfFile } from '../file-digest.js'
import { beginsAsSqlite } from '../sqlite-head.js'

/** A fault of a store: a code of its own, or a code of an index and its packs. */
export interface StoreFinding extends Omit<Finding, 'code'> {
  readonly code:
    | FindingCode
    /** A blob whose bytes do not have the digest in its name. */
    | 'blob-digest-mismatch'
    /** A file among the blobs whose name is not a digest. A killed writer may have left it. */
    | 'stray-file'
}

export interface CheckedStore {
  packs: number
  indexes: number
  /**
   * Blobs that are neither packs nor indexes: images and their configurations, in a registry's
   * folder.
   */
  others: number
  sizeBytes: number
}

export interface CheckStoreOptions {
  readonly folder: string
  /** Folder into which indexes are decompressed. */
  readonly tempFolder: string
  /** Counters that the check adds to as it goes on. */
  readonly checked: CheckedStore
}

const HEAD_BYTES = 4
const PACK_MAGIC = 'THINPACK'
/** Little-endian, at the beginning of a zstd frame (RFC 8878, 3.1.1). */
const ZSTD_MAGIC = 0xfd2fb528

/**
 * Checks the folder `blobs/sha256` of the store. Throws the system's error if it cannot be read.
 */
export async function* checkStore(
  options: CheckStoreOptions,
  signal: AbortSignal,
): AsyncGenerator<StoreFinding> {
  const blobs = join(options.folder, 'blobs', 'sha256')
  const named = new Map<Digest, Digest>()
  const present = new Set<Digest>()
  for await (const entry of await opendir(blobs)) {
    signal.throwIfAborted()
    const digest = `sha256:${entry.name}`
    const path = join(blobs, entry.name)
    if (!entry.isFile() || !isDigest(digest)) {
      yield { code: 'stray-file', where: path, detail: 'not a blob: its name is not a digest' }
      continue
    }
    present.add(digest)
    yield* checkBlob(path, digest, options, named, signal)
  }
  for (const [pack, index] of named) {
    if (present.has(pack)) continue
    const detail = `index blob ${index} names it, the store does not have it`
    yield { code: 'missing-pack', where: `pack ${pack}`, detail }
  }
}

async function* checkBlob(
  path: string,
  digest: Digest,
  options: CheckStoreOptions,
  named: Map<Digest, Digest>,
  signal: AbortSignal,
): AsyncGenerator<StoreFinding> {
  const { checked } = options
  const found = await digestOfFile(path, signal)
  if (found !== digest) {
    yield { code: 'blob-digest-mismatch', where: path, detail: `its bytes have digest ${found}` }
  }
  const blob = FileAccess.open(path)
  try {
    checked.sizeBytes += blob.sizeBytes
    if (endsAsPack(blob)) {
      checked.packs++
      yield* checkPack(blob, digest)
    } else if (beginsAsZstd(blob)) {
      yield* checkCompressed(path, digest, options, named, signal)
    } else checked.others++
  } finally {
    blob.close()
  }
}

function* checkPack(blob: FileAccess, digest: Digest): Generator<StoreFinding> {
  const where = `pack ${digest}`
  let reader
  try {
    reader = PackReader.open(blob, digest)
  } catch (error) {
    yield refusedAs('invalid-pack-table', where, error)
    return
  }
  for (let at = 0; at < reader.table.frames.length; at++) {
    try {
      reader.readFrame(at)
    } catch (error) {
      const isOther = error instanceof IndexFormatError && error.code === 'digest-mismatch'
      const code = isOther ? 'frame-digest-mismatch' : 'invalid-frame'
      yield refusedAs(code, `${where} frame ${at}`, error)
    }
  }
}

/**
 * Checks a compressed blob. It is an index if it contains a SQLite file; other blobs are only
 * counted.
 */
async function* checkCompressed(
  path: string,
  digest: Digest,
  { checked, tempFolder }: CheckStoreOptions,
  named: Map<Digest, Digest>,
  signal: AbortSignal,
): AsyncGenerator<StoreFinding> {
  const folder = await mkdtemp(join(tempFolder, 'index-'))
  try {
    const index = join(folder, 'index')
    try {
      const raw = decompress(createReadStream(path), { name: path })
      await pipeline(raw, createWriteStream(index), { signal })
    } catch (error) {
      yield refusedAs('unreadable-index', `blob ${digest}`, error)
      return
    }
    if (!(await beginsAsSqlite(index))) {
      checked.others++
      return
    }
    checked.indexes++
    for await (const finding of checkIndex(index, { signal })) {
      yield { ...finding, where: `index blob ${digest}, ${finding.where}` }
    }
    notePacks(index, digest, named)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/**
 * Records the packs that an index names. Skips an unreadable index, because its check has reported
 * it.
 */
function notePacks(path: string, blob: Digest, named: Map<Digest, Digest>): void {
  let index
  try {
    index = Index.open(path)
    for (const { digest } of index.packs()) named.set(digest, blob)
  } catch (error) {
    if (!(error instanceof IndexFormatError)) throw error
  } finally {
    index?.close()
  }
}

function refusedAs(code: FindingCode, where: string, error: unknown): StoreFinding {
  if (error instanceof IndexFormatError) return { code, where, detail: error.message }
  throw error
}

function endsAsPack(blob: FileAccess): boolean {
  const end = Buffer.alloc(Math.min(PACK_MAGIC.length, blob.sizeBytes))
  blob.readSync(end, blob.sizeBytes - end.length)
  return end.toString('latin1') === PACK_MAGIC
}

function beginsAsZstd(blob: FileAccess): boolean {
  if (blob.sizeBytes < HEAD_BYTES) return false
  const head = Buffer.alloc(HEAD_BYTES)
  blob.readSync(head, 0)
  return head.readUInt32LE(0) === ZSTD_MAGIC
}
