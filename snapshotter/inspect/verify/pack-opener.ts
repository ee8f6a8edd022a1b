/**
 * Opens pack files for `checkIndex`. Packs in a folder are opened in place. Packs in any other
 * store are fetched whole into one temporary file, which the next pack replaces.
 */
import { open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type BlobSource, FusefsError, storeUrlFromString } from '../../../fusefs/index.js'
import { type Digest, hexOf, type Index } from '../../../index-format/index.js'
import { systemErrorCode } from '../../../index-format/system-error.js'
import { FileAccess } from '../file-access.js'

/**
 * Opens packs by digest, one at a time: opening a pack closes the one before. A pack that the store
 * does not have is `undefined`.
 */
export interface PackOpener {
  open(digest: Digest): Promise<FileAccess | undefined>
  /** Idempotent. */
  close(): Promise<void>
}

/** The packs in `blobs/sha256` below `folder`. */
export function packsInFolder(folder: string): PackOpener {
  let current: FileAccess | undefined
  return {
    open: (digest) => {
      current?.close()
      current = openIfThere(join(folder, 'blobs', 'sha256', hexOf(digest)))
      return Promise.resolve(current)
    },
    close: () => {
      current?.close()
      return Promise.resolve()
    },
  }
}

/** The packs that `index` names, fetched from `store`. */
export function packsFromStore(
  options: { index: Index; store: BlobSource; tempFolder: string },
  signal: AbortSignal,
): PackOpener {
  const sizes = new Map(options.index.packs().map(({ digest, sizeBytes }) => [digest, sizeBytes]))
  const path = join(options.tempFolder, 'pack')
  let current: FileAccess | undefined
  const close = async (): Promise<void> => {
    current?.close()
    current = undefined
    await rm(path, { force: true })
  }
  return {
    open: async (digest) => {
      await close()
      const range = { digest, offset: 0, length: sizes.get(digest) ?? 1 }
      if (!(await fetchInto(path, options.store.stream(range, signal)))) return undefined
      current = FileAccess.open(path)
      return current
    },
    close,
  }
}

/** The folder of a `file:` URL of a store; undefined for any other store. */
export function folderOfStore(text: string): string | undefined {
  const url = storeUrlFromString(text)
  return url.kind === 'file' ? url.directory : undefined
}

/**
 * Fetches a blob into a new file. Returns false if the store says that it has no such blob. A blob
 * that ends too early is kept as far as it arrived.
 */
async function fetchInto(path: string, bytes: AsyncIterable<Uint8Array>): Promise<boolean> {
  const file = await open(path, 'wx', 0o600)
  try {
    for await (const chunk of bytes) await file.writeFile(chunk)
    return true
  } catch (error) {
    if (!(error instanceof FusefsError)) throw error
    if (error.code === 'blob-not-found') return false
    // Keep the bytes that arrived. Their size and digest are checked and become findings.
    if (error.code === 'truncated-answer') return true
    throw error
  } finally {
    await file.close()
  }
}

function openIfThere(path: string): FileAccess | undefined {
  try {
    return FileAccess.open(path)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined
    throw error
  }
}
