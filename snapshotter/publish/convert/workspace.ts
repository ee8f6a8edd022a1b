/** A folder for the temporary files of one conversion; everything in it goes when it is closed. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotterError } from '../../errors.js'

export class Workspace {
  readonly folder: string
  #files = 0

  private constructor(folder: string) {
    this.folder = folder
  }

  /** Makes a folder in `parent`, which must exist. */
  static async create(parent: string): Promise<Workspace> {
    try {
      return new Workspace(await mkdtemp(join(parent, 'thinctl-convert-')))
    } catch (cause) {
      throw new SnapshotterError('internal', `make a folder for temporary files in ${parent}`, {
        cause,
      })
    }
  }

  /** A path nobody has been given before. */
  file(kind: string): string {
    return join(this.folder, `${++this.#files}.${kind}`)
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
