/**
 * Stores content in a folder as `blobs/sha256/<hex>`. Any static HTTP server can serve this form,
 * and an OCI layout has it too. A blob appears under its name only when it is complete and on the
 * disk.
 */
import { createReadStream } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { type Digest, hexOf } from '../../../index-format/index.js'
import { localBlob, moveDurably, writeDurably } from '../../images/index.js'
import type { BlobContent } from '../../images/registry/index.js'
import type { PublishStore } from './publish-store.js'

const READ_BYTES = 256 * 1024

export class FolderStore implements PublishStore {
  readonly name: string
  readonly url: string
  readonly #folder: string

  private constructor(folder: string, url: string | undefined) {
    this.#folder = folder
    this.name = pathToFileURL(folder).href
    this.url = url ?? this.name
  }

  /**
   * Creates the folder if there is none. `url` is the URL for recipes. Default: `file:///folder`.
   */
  static async open(folder: string, url?: string): Promise<FolderStore> {
    const absolute = resolve(folder)
    await mkdir(join(absolute, 'blobs', 'sha256'), { recursive: true })
    return new FolderStore(absolute, url)
  }

  async blobSize(digest: Digest, signal: AbortSignal): Promise<number | undefined> {
    signal.throwIfAborted()
    const found = await stat(this.#path(digest)).catch(() => undefined)
    return found?.isFile() === true ? found.size : undefined
  }

  async put(blob: BlobContent & { readonly path?: string }, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const path = this.#path(blob.digest)
    if (blob.path !== undefined && (await moveDurably(blob.path, path))) return
    await writeDurably(path, async (file) => {
      const content = blob.open()
      for await (const piece of content instanceof Uint8Array ? [content] : content) {
        signal.throwIfAborted()
        await file.writeFile(piece as Uint8Array)
      }
    })
  }

  read(blob: { digest: Digest; sizeBytes: number }): AsyncIterable<Uint8Array> {
    const bytes = createReadStream(this.#path(blob.digest), { highWaterMark: READ_BYTES })
    return localBlob(bytes, blob, this.#folder)
  }

  canAdopt(): boolean {
    return false
  }

  /** Always false: a folder has no other store to take a blob from. */
  adopt(): Promise<boolean> {
    return Promise.resolve(false)
  }

  /** Writes nothing: no garbage collection runs in a folder. */
  keep(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  close(): Promise<void> {
    return Promise.resolve()
  }

  #path(digest: Digest): string {
    return join(this.#folder, 'blobs', 'sha256', hexOf(digest))
  }
}
