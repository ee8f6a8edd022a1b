/**
 * Writes a pack to a temporary file while it grows, and hands the file on when the pack is
 * complete.
 */
import { type FileHandle, open, rm } from 'node:fs/promises'
import type { PackSink, PackTable } from '../../../index-format/index.js'
import type { BlobFile } from './blob-publisher.js'

export class PackSpool implements PackSink {
  readonly #path: string
  readonly #handOn: (file: BlobFile) => Promise<void>
  #file: FileHandle | undefined

  /** `handOn` takes over the complete file. The file is created with the first byte. */
  constructor(path: string, handOn: (file: BlobFile) => Promise<void>) {
    this.#path = path
    this.#handOn = handOn
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#file ??= await open(this.#path, 'wx', 0o600)
    await this.#file.writeFile(bytes)
  }

  async finish(table: PackTable): Promise<void> {
    await this.#close()
    await this.#handOn({ digest: table.digest, sizeBytes: table.sizeBytes, path: this.#path })
  }

  async abort(): Promise<void> {
    await this.#close()
    await rm(this.#path, { force: true })
  }

  async #close(): Promise<void> {
    await this.#file?.close()
    this.#file = undefined
  }
}
