/**
 * Layers that are directories of the host, unpacked by CVMFS (`cvmfs://`) or by hand (`file:`).
 * overlayfs gets short symbolic links to them, below the store's root. The reason: a CVMFS path has
 * 90 bytes, and the paths of all lower directories of a mount must fit in one page.
 */
import { mkdir, readdir, readlink, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotterError } from '../../errors.js'
import { cancellable } from '../../waiting/cancellable.js'

/** The links to the directories that layers use. Layers share the link to a directory. */
export class HostDirectories {
  readonly #linksDir: string
  readonly #links: Map<string, string>
  #next: number

  private constructor(linksDir: string, links: Map<string, string>) {
    this.#linksDir = linksDir
    this.#links = links
    this.#next = 1 + Math.max(0, ...[...links.values()].map((name) => Number.parseInt(name, 36)))
  }

  /**
   * Reads the links in `linksDir`. Creates the folder where it is missing. It must hold nothing but
   * these links.
   */
  static async open(linksDir: string): Promise<HostDirectories> {
    await mkdir(linksDir, { recursive: true, mode: 0o700 })
    const links = new Map<string, string>()
    for (const name of await readdir(linksDir))
      links.set(await readlink(join(linksDir, name)), name)
    return new HostDirectories(linksDir, links)
  }

  /**
   * The path of a link to `directory`, for overlayfs's lowerdir. Throws `failed-precondition`,
   * which names `layer`, when `directory` cannot be used or is not a directory; `cancelled` when
   * `signal` fires; `internal` when the link cannot be made.
   */
  async lowerdirOf(directory: string, layer: string, signal: AbortSignal): Promise<string> {
    await requireDirectory(directory, layer, signal)
    const known = this.#links.get(directory)
    if (known !== undefined) return join(this.#linksDir, known)
    const name = (this.#next++).toString(36)
    this.#links.set(directory, name)
    try {
      await symlink(directory, join(this.#linksDir, name))
    } catch (error) {
      this.#links.delete(directory)
      throw SnapshotterError.from(error, `link ${layer} to ${directory}`)
    }
    return join(this.#linksDir, name)
  }

  /** Removes the links to all other directories. Existing mounts are not affected. */
  async keepOnly(directories: Pick<ReadonlyMap<string, unknown>, 'has'>): Promise<void> {
    for (const [directory, name] of this.#links) {
      if (directories.has(directory)) continue
      this.#links.delete(directory)
      await rm(join(this.#linksDir, name), { force: true })
    }
  }
}

async function requireDirectory(path: string, layer: string, signal: AbortSignal): Promise<void> {
  let isDirectory: boolean
  try {
    // A network filesystem may take long to answer, so the wait can be cancelled.
    isDirectory = (
      await cancellable(stat(path), signal, `look for ${layer} at ${path}`)
    ).isDirectory()
  } catch (error) {
    if (error instanceof SnapshotterError) throw error
    const reason = error instanceof Error ? error.message : String(error)
    const message = `${layer}: its directory ${path} cannot be used on this host; is it mounted? (${reason})`
    throw new SnapshotterError('failed-precondition', message, { cause: error })
  }
  if (isDirectory) return
  throw new SnapshotterError('failed-precondition', `${layer}: ${path} is not a directory`)
}
