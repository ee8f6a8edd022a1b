/**
 * Fetches the index of a tree to the local disk: from the file beside the recipe where the image
 * embeds it, else from a store. A file in the cache is named by its digest. It is verified while it
 * is written under a temporary name, and renamed when it is whole.
 */
import { createHash, randomUUID } from 'node:crypto'
import { constants } from 'node:fs'
import { access, type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type BlobSource, FusefsError, patiently } from '../../fusefs/index.js'
import { decompress, type Digest, type IndexRef } from '../../index-format/index.js'
import { SnapshotterError } from '../errors.js'
import { verifiedStream } from '../images/registry/verified-stream.js'
import { cancellable } from '../waiting/cancellable.js'

/** The origins of a compressed index. `embeddedPath` is used where it is defined, else `source`. */
export interface IndexOrigins {
  /** The file beside the recipe; undefined where the image does not embed the index. */
  readonly embeddedPath: string | undefined
  readonly source: BlobSource
}

/**
 * An index takes at most this many times the size of its blob. Real ones take less than 20 times; a
 * blob of zeros expands 30,000 times.
 */
const MAX_EXPANSION = 200
/** Smaller indexes may expand as they like. */
const MIN_BOUNDED_BYTES = 16 * 1024 * 1024

export interface IndexCacheModules {
  /** Called before an index is written; throws where it must not be. Default: everything is let in. */
  readonly admit?: (ref: IndexRef) => void
}

export class IndexCache {
  readonly #pathOf: (digest: Digest) => string
  readonly #admit: (ref: IndexRef) => void
  readonly #running = new Map<Digest, Promise<string>>()

  /** `pathOf` returns the path of an index by its digest. Its folder is made when needed. */
  constructor(pathOf: (digest: Digest) => string, modules: IndexCacheModules = {}) {
    this.#pathOf = pathOf
    this.#admit = modules.admit ?? (() => undefined)
  }

  /**
   * Whether an index of this size may be written. Throws `invalid-content` where the recipe says
   * that a small blob expands beyond all measure, and what `admit` throws.
   */
  requireRoom(ref: IndexRef): void {
    const { digest, sizeBytes, blob } = ref
    if (sizeBytes > Math.max(MIN_BOUNDED_BYTES, MAX_EXPANSION * blob.sizeBytes)) {
      const message = `index ${digest}: the recipe says that ${blob.sizeBytes} bytes expand to ${sizeBytes}`
      throw new SnapshotterError('invalid-content', `${message}; publish the image again`)
    }
    this.#admit(ref)
  }

  /**
   * The path of the index that `ref` names. Fetches and verifies the index where it is missing.
   * Concurrent calls for one index share a fetch. Throws `unavailable` where the store cannot be
   * read, `invalid-content` where it has other bytes than the recipe names, `cancelled` when
   * `signal` fires, `internal` where the local disk fails, and what `requireRoom` throws.
   */
  async ensure(ref: IndexRef, origins: IndexOrigins, signal: AbortSignal): Promise<string> {
    const path = this.#pathOf(ref.digest)
    while (!(await exists(path))) {
      const running = this.#running.get(ref.digest)
      if (running === undefined) return this.#start(ref, origins, path, signal)
      try {
        await cancellable(running, signal, `wait for index ${ref.digest}`)
      } catch (error) {
        // The call that began the fetch was cancelled. This call tries again.
        const isCancelled = error instanceof SnapshotterError && error.code === 'cancelled'
        if (!isCancelled || signal.aborted) throw error
      }
    }
    return path
  }

  #start(ref: IndexRef, origins: IndexOrigins, path: string, signal: AbortSignal): Promise<string> {
    const fetching = this.#fetch(ref, origins, path, signal).finally(() => {
      this.#running.delete(ref.digest)
    })
    this.#running.set(ref.digest, fetching)
    return fetching
  }

  async #fetch(
    ref: IndexRef,
    origins: IndexOrigins,
    path: string,
    signal: AbortSignal,
  ): Promise<string> {
    this.requireRoom(ref)
    const { embeddedPath, source } = origins
    if (embeddedPath !== undefined) {
      await store(ref, fileChunks(embeddedPath), { path, origin: embeddedPath, signal })
      return path
    }
    const range = { digest: ref.blob.digest, offset: 0, length: ref.blob.sizeBytes }
    const target = { path, origin: source.name, signal }
    await patiently(() => store(ref, source.stream(range, signal), target), {
      signal,
      atMostMs: PATIENCE_MS,
    })
    return path
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path, constants.R_OK)
    return true
  } catch {
    return false
  }
}

/**
 * A pull waits this long for a store that fails in a way that may pass. Requests of programs that
 * wait for an index try again by themselves.
 */
const PATIENCE_MS = 5_000

/** With this size, one call reads most embedded indexes. */
const READ_BYTES = 1024 * 1024

/**
 * Follows no symbolic link: the file comes from an image, and a link could lead out of the layer.
 */
async function* fileChunks(path: string): AsyncIterable<Uint8Array> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  try {
    const options = { autoClose: false, highWaterMark: READ_BYTES }
    for await (const chunk of file.createReadStream(options)) {
      yield chunk as Uint8Array
    }
  } finally {
    await file.close()
  }
}

interface Target {
  readonly path: string
  readonly origin: string
  readonly signal: AbortSignal
}

/** What helps where the content is not what the recipe says. */
const REMEDY = 'publish the image again or repair the store'

/** Decompresses, verifies and keeps an index. Nothing is left behind when it fails. */
async function store(
  ref: IndexRef,
  compressed: AsyncIterable<Uint8Array>,
  target: Target,
): Promise<void> {
  const temporary = `${target.path}.${randomUUID()}.new`
  await mkdir(dirname(target.path), { recursive: true, mode: 0o700 })
  const file = await open(temporary, 'wx', 0o600)
  try {
    try {
      await writeVerified(ref, compressed, file, target)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, target.path)
    await syncFolder(dirname(target.path))
  } catch (error) {
    await rm(temporary, { force: true })
    throw storeError(ref, target, error)
  }
}

async function writeVerified(
  ref: IndexRef,
  compressed: AsyncIterable<Uint8Array>,
  file: FileHandle,
  target: Target,
): Promise<void> {
  const hash = createHash('sha256')
  const blob = verifiedStream(compressed, ref.blob, `index from ${target.origin} (${REMEDY})`)
  const name = `index ${ref.digest} from ${target.origin}`
  let writing: Promise<void> = Promise.resolve()
  try {
    for await (const chunk of decompress(blob, { maxRawBytes: ref.sizeBytes, name })) {
      target.signal.throwIfAborted()
      hash.update(chunk)
      await writing
      // A thread writes this chunk while the next one is decompressed here.
      writing = file.writeFile(chunk)
      // Its error is thrown below. This handler covers an earlier error in the loop.
      writing.catch(() => undefined)
    }
  } finally {
    // The caller closes the file next, so no write may be under way.
    await Promise.allSettled([writing])
  }
  await writing
  const digest = `sha256:${hash.digest('hex')}`
  if (digest === ref.digest) return
  throw new SnapshotterError(
    'invalid-content',
    `index from ${target.origin}: digest is ${digest}, the recipe says ${ref.digest}; ${REMEDY}`,
  )
}

/**
 * The error code tells the caller what to do. `unavailable`: the store may be reached later.
 * `invalid-content`: another try does not help. `internal`: the local disk failed.
 */
function storeError(ref: IndexRef, target: Target, cause: unknown): SnapshotterError {
  if (cause instanceof SnapshotterError) return cause
  const what = `fetch index ${ref.digest} from ${target.origin}`
  const why = cause instanceof Error ? cause.message : String(cause)
  if (target.signal.aborted) {
    return new SnapshotterError('cancelled', `${what}: given up`, { cause })
  }
  if (cause instanceof FusefsError) {
    return new SnapshotterError('unavailable', `${what}: ${why}`, { cause })
  }
  const code = isSystemError(cause) ? 'internal' : 'invalid-content'
  return new SnapshotterError(code, `${what}: ${why}`, { cause })
}

/** Errors of the operating system have an `errno`. Errors of the decompressor have none. */
function isSystemError(cause: unknown): boolean {
  return cause instanceof Error && 'errno' in cause
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(join(path, '.'), constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
