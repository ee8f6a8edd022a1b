/**
 * The directories of snapshots: `<root>/snapshots/<id>/{fs,work}`. A new directory is made under a
 * temporary name. It is renamed to the id once the database has assigned one. A directory whose
 * name is no id of the database is an orphan.
 */
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import { basename, join, relative } from 'node:path'
import type { Kind } from './snapshot.js'

const TEMPORARY_PREFIX = 'new-'

export class SnapshotDirectories {
  readonly #directory: string
  /** Temporary directories of running requests, which will rename or remove them. */
  readonly #inProgress = new Set<string>()

  private constructor(directory: string) {
    this.#directory = directory
  }

  /** Creates `<root>/snapshots` where it is missing. */
  static async open(root: string): Promise<SnapshotDirectories> {
    const directory = join(root, 'snapshots')
    await mkdir(directory, { recursive: true, mode: 0o700 })
    return new SnapshotDirectories(directory)
  }

  fsOf(id: number): string {
    return join(this.#directory, String(id), 'fs')
  }

  workOf(id: number): string {
    return join(this.#directory, String(id), 'work')
  }

  /**
   * Makes a temporary directory for a new snapshot. The caller calls `settle` or `discard` for it.
   * Synchronous, as the transaction that follows: its five system calls take a few microseconds
   * each, less than five turns of libuv's thread pool.
   */
  create(kind: Kind): string {
    const temporary = mkdtempSync(join(this.#directory, TEMPORARY_PREFIX))
    this.#inProgress.add(basename(temporary))
    try {
      makeDirectory(join(temporary, 'fs'), 0o755)
      if (kind === 'active') makeDirectory(join(temporary, 'work'), 0o711)
    } catch (error) {
      this.discard(temporary)
      throw error
    }
    return temporary
  }

  /**
   * Renames a temporary directory to `id`, and gives its `fs` the owner of the parent's `fs`.
   * Synchronous, so that it can be the last step of a transaction. If the transaction is not
   * committed, the caller removes the directory.
   */
  settle(temporary: string, id: number, parentId: number | undefined): void {
    if (parentId !== undefined) {
      const { uid, gid } = statSync(this.fsOf(parentId))
      lchownSync(join(temporary, 'fs'), uid, gid)
    }
    renameSync(temporary, join(this.#directory, String(id)))
    this.#inProgress.delete(basename(temporary))
  }

  /** Removes a temporary directory. Does nothing where `settle` has renamed it. */
  discard(temporary: string): void {
    rmSync(temporary, { recursive: true, force: true })
    this.#inProgress.delete(basename(temporary))
  }

  async remove(id: number): Promise<void> {
    await this.removeOrphan(String(id))
  }

  async removeOrphan(name: string): Promise<void> {
    await rm(join(this.#directory, name), { recursive: true, force: true })
  }

  /** The ids of snapshots that have a directory. Empty if `root` has no directories yet. */
  static async ids(root: string): Promise<number[]> {
    const names = await readdir(join(root, 'snapshots')).catch(() => [])
    return names.filter(isId).map(Number)
  }

  /** The greatest of `ids`; 0 if there is none. */
  static async lastId(root: string): Promise<number> {
    return Math.max(0, ...(await SnapshotDirectories.ids(root)))
  }

  /**
   * The id of the snapshot that an overlay's upper directory belongs to. Undefined if the directory
   * is none of ours.
   */
  idOf(upperDirectory: string): number | undefined {
    const [id = '', fs, ...rest] = relative(this.#directory, upperDirectory).split('/')
    return isId(id) && fs === 'fs' && rest.length === 0 ? Number(id) : undefined
  }

  /** Names of directories that belong to none of `ids` and to no request under way. */
  async orphans(ids: () => ReadonlySet<number>): Promise<string[]> {
    const names = await readdir(this.#directory)
    // The ids are read after the directory, so that they include snapshots made in between.
    const known = ids()
    return names.filter((name) => !known.has(Number(name)) && !this.#inProgress.has(name))
  }
}

/** Whether a directory's name is an id, not a temporary one. */
export function isId(name: string): boolean {
  return /^[1-9]\d{0,15}$/.test(name)
}

/** mkdir(2) applies the umask. The modes that containers see must not depend on it. */
function makeDirectory(path: string, mode: number): void {
  mkdirSync(path, { mode })
  chmodSync(path, mode)
}
