/** The files of a folder on disk. Paths are not checked: they must never come from a manifest. */
import { createReadStream } from 'node:fs'
import { join } from 'node:path'
import type { FileSet } from './oci-layout.js'

const READ_BYTES = 256 * 1024

export class FolderFiles implements FileSet {
  readonly name: string
  readonly #folder: string

  constructor(folder: string) {
    this.name = folder
    this.#folder = folder
  }

  /** Never returns `undefined`. A missing file fails with ENOENT when the stream is read. */
  read(path: string): AsyncIterable<Uint8Array> {
    return createReadStream(join(this.#folder, path), { highWaterMark: READ_BYTES })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}
