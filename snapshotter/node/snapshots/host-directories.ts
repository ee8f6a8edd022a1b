/**
 * Layers that are directories of the host, unpacked by CVMFS (`cvmfs://`) or by hand (`file:`).
 * overlayfs gets short symbolic links to them, which are below the store's root. A CVMFS path has
 * 90 bytes, and the paths of all lower directories of a mount must fit in one page.
 */
import { mkdir, readdir, readlink, rm, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { SnapshotterError } from '../../errors.js'
import { cancellable } from '../../waiting/cancellable.js'
import type { AllowedDirectories } from './allowed-directories.js'

/** The links to the directories that layers use. Each directory has one link. */
export class HostDirectories {
  readonly #linksDir: string
  readonly #allowed: AllowedDirectories
  /** Names of links, by the real path that they lead to. */
  readonly #links: Map<string, string>
  /** The real path of each directory at its last use, by the path in the layer. */
  readonly #realPaths = new Map<string, string>()
  #next: number

  private constructor(linksDir: string, allowed: AllowedDirectories, links: Map<string, string>) {
    this.#linksDir = linksDir
    this.#allowed = allowed
    this.#links = links
    this.#next = 1 + Math.max(0, ...[...links.values()].map((name) => Number.parseInt(name, 36)))
  }

  /**
   * Reads the links in `linksDir`. The folder is created if it is missing. Nothing else may use it.
   */
  static async open(
    linksDir: string,
    modules: { allowed: AllowedDirectories },
  ): Promise<HostDirectories> {
    await mkdir(linksDir, { recursive: true, mode: 0o700 })
    const links = new Map<string, string>()
    for (const name of await readdir(linksDir))
      links.set(await readlink(join(linksDir, name)), name)
    return new HostDirectories(linksDir, modules.allowed, links)
  }

  /**
   * The real path of `directory`. Throws `failed-precondition` if the configuration does not allow
   * it, if it is missing, or if it is not a directory; `layer` begins the message. Throws
   * `cancelled` if `signal` aborts.
   */
  async realPathOf(directory: string, layer: string, signal: AbortSignal): Promise<string> {
    const path = await this.#allowed.resolve(directory, layer, signal)
    await requireDirectory(path, layer, signal)
    return path
  }

  /**
   * A link to `directory`, for the lowerdir of an overlayfs. The directory is checked at each call,
   * because a symbolic link in its path, or the configuration, may have changed. Throws as
   * `realPathOf`.
   */
  async lowerdirOf(directory: string, layer: string, signal: AbortSignal): Promise<string> {
    const path = await this.realPathOf(directory, layer, signal)
    this.#realPaths.set(directory, path)
    const known = this.#links.get(path)
    if (known !== undefined) return join(this.#linksDir, known)
    const name = (this.#next++).toString(36)
    this.#links.set(path, name)
    try {
      await symlink(path, join(this.#linksDir, name))
    } catch (error) {
      this.#links.delete(path)
      throw SnapshotterError.from(error, `link ${layer} to ${path}`)
    }
    return join(this.#linksDir, name)
  }

  /**
   * Removes the links to all directories that are not keys of `directories`. Existing mounts
   * continue to work.
   */
  async keepOnly(directories: ReadonlyMap<string, unknown>): Promise<void> {
    for (const directory of this.#realPaths.keys()) {
      if (!directories.has(directory)) this.#realPaths.delete(directory)
    }
    const kept = new Set([...directories.keys(), ...this.#realPaths.values()])
    for (const [path, name] of this.#links) {
      if (kept.has(path)) continue
      this.#links.delete(path)
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
