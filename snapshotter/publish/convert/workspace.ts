/** A folder for the temporary files of one conversion. `close` deletes everything in it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotterError } from '../../errors.js'

export class Workspace {
  readonly folder: string
  #files = 0

  private constructor(folder: string) {
    this.folder = folder
  }

  /**
   * Creates a folder in `parent`, which must exist. Throws `internal` if that fails. The caller
   * closes it.
   */
  static async create(parent: string): Promise<Workspace> {
    try {
      return new Workspace(await mkdtemp(join(parent, 'thinctl-convert-')))
    } catch (cause) {
      throw new SnapshotterError('internal', `make a folder for temporary files in ${parent}`, {
        cause,
      })
    }
  }

  /** A path in the folder, different on each call. It ends in `.kind`. */
  file(kind: string): string {
    return join(this.folder, `${++this.#files}.${kind}`)
  }

  /** Idempotent. */
  async close(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true })
  }
}
