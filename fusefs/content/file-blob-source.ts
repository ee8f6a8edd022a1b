/** A store in a local folder: `<dir>/blobs/sha256/<hex>`. A blob must not be a symbolic link. */
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { systemErrorCode } from '../../index-format/system-error.js'
import { FusefsError } from '../errors.js'
import type { BlobRange, BlobSource } from './blob-source.js'
import { FILE_PIECE_BYTES } from './content-limits.js'
import { blobPath, type StoreUrl } from './store-url.js'

export class FileBlobSource implements BlobSource {
  readonly name: string
  readonly origin = 'file:'
  readonly #directory: string

  private constructor(store: StoreUrl & { kind: 'file' }) {
    this.name = store.name
    this.#directory = store.directory
  }

  /** Opens nothing. When the folder is missing, streaming throws `blob-not-found`. */
  static create(options: { url: StoreUrl & { kind: 'file' } }): FileBlobSource {
    return new FileBlobSource(options.url)
  }

  async *stream(
    range: BlobRange,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const path = blobPath(this.#directory, range.digest)
    const file = await this.#open(path)
    try {
      let reached = 0
      while (reached < range.length) {
        if (signal.aborted) {
          throw new FusefsError('aborted', `read of ${path} given up`, { cause: signal.reason })
        }
        const piece = Buffer.allocUnsafe(Math.min(FILE_PIECE_BYTES, range.length - reached))
        const { bytesRead } = await file.read(piece, 0, piece.length, range.offset + reached)
        if (bytesRead === 0) {
          const { size } = await file.stat()
          const end = range.offset + range.length
          throw new FusefsError(
            'truncated-answer',
            `${path}: ${size} bytes, asked for up to ${end}`,
          )
        }
        reached += bytesRead
        yield piece.subarray(0, bytesRead)
      }
    } catch (cause) {
      if (cause instanceof FusefsError) throw cause
      throw new FusefsError('fetch-failed', `cannot read ${path}`, { cause })
    } finally {
      await file.close()
    }
  }

  /** Does nothing, because there is no other folder to ask. */
  distrust(): boolean {
    return false
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  async #open(path: string): Promise<FileHandle> {
    let file: FileHandle
    try {
      // O_NONBLOCK: a fifo in place of a blob must not hang the open.
      const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK
      file = await open(path, flags)
    } catch (cause) {
      const absent = systemErrorCode(cause) === 'ENOENT'
      const code = absent ? 'blob-not-found' : 'fetch-failed'
      throw new FusefsError(code, `store ${this.name}: cannot open ${path}`, { cause })
    }
    const stat = await file.stat()
    if (stat.isFile()) return file
    await file.close()
    throw new FusefsError('fetch-failed', `store ${this.name}: ${path} is not a regular file`)
  }
}
