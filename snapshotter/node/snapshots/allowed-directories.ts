/**
 * The host directories that images may name as layers. Recipes are written by strangers. Without
 * this check, an image with the layer `file:///etc` would show a container the node's passwords.
 *
 * A path is resolved component by component below an allowed prefix. A symbolic link or `..` that
 * leaves the prefix is refused. A user who can write below a prefix can replace a directory between
 * this check and the mount. Therefore only trusted users may be able to write below a prefix.
 */
import { lstat, readlink, realpath } from 'node:fs/promises'
import { isAbsolute, join } from 'node:path'
import { SnapshotterError } from '../../errors.js'
import { cancellable } from '../../waiting/cancellable.js'

/** Symbolic links followed in one path: MAXSYMLINKS of linux/namei.h. */
const MAX_SYMLINKS = 40
/** The configuration key, as messages name it. */
const KEY = 'host_directories.allow'

export class AllowedDirectories {
  readonly #prefixes: readonly string[]

  /** `prefixes` are absolute paths. They may be symbolic links, and need not exist yet. */
  constructor(prefixes: readonly string[]) {
    this.#prefixes = prefixes
  }

  /**
   * The real path of `directory`. Throws `failed-precondition` if no prefix allows it or it cannot
   * be resolved; `layer` begins the message. Throws `cancelled` if `signal` aborts.
   */
  async resolve(directory: string, layer: string, signal: AbortSignal): Promise<string> {
    let escape: EscapeError | undefined
    for (const prefix of this.#prefixes) {
      try {
        // A network filesystem may take long to answer.
        const attempt = `look for ${layer} at ${directory}`
        const path = await cancellable(resolveBelow(prefix, directory), signal, attempt)
        if (path !== undefined) return path
      } catch (error) {
        if (!(error instanceof EscapeError)) throw unusable(directory, layer, error)
        escape = error
      }
    }
    const why = escape === undefined ? 'no prefix allows it' : escape.message
    throw new SnapshotterError(
      'failed-precondition',
      `${layer}: the host directory ${directory} is refused: ${why}; if this image is trusted, add ` +
        `a prefix of the directory to ${KEY} in the configuration (now: ${this.#shown()})`,
    )
  }

  #shown(): string {
    return JSON.stringify(this.#prefixes)
  }
}

/** The path leads out of the prefix. This error does not leave this file. */
class EscapeError extends Error {
  override readonly name = 'EscapeError'
}

/**
 * The real path of `path`. `undefined` if `path` does not begin with the prefix or with the
 * prefix's real path. Throws `EscapeError` if `path` leads out of `prefix`, and the system's
 * errors.
 */
async function resolveBelow(prefix: string, path: string): Promise<string | undefined> {
  const root = await realpath(prefix).catch(() => prefix)
  const start = [prefix, root].find((one) => isWithin(path, one))
  if (start === undefined) return undefined
  const todo = componentsOf(path.slice(start.length)).reverse()
  const resolved: string[] = []
  let links = 0
  for (let name = todo.pop(); name !== undefined; name = todo.pop()) {
    if (name === '..') {
      if (resolved.pop() === undefined) throw new EscapeError(`".." leads out of ${prefix}`)
      continue
    }
    const at = join(root, ...resolved, name)
    if (!(await lstat(at)).isSymbolicLink()) {
      resolved.push(name)
      continue
    }
    if (++links > MAX_SYMLINKS) throw new EscapeError(`more than ${MAX_SYMLINKS} symbolic links`)
    const target = await readlink(at)
    const base = [prefix, root].find((one) => isWithin(target, one))
    if (isAbsolute(target)) {
      if (base === undefined) throw new EscapeError(`the link ${at} leads to ${target}`)
      resolved.length = 0
    }
    todo.push(...componentsOf(target.slice(base?.length ?? 0)).reverse())
  }
  return join(root, ...resolved)
}

function componentsOf(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.')
}

/** Whether an absolute path is `prefix` or below it, without looking at the filesystem. */
function isWithin(path: string, prefix: string): boolean {
  return path === prefix || path.startsWith(prefix.endsWith('/') ? prefix : `${prefix}/`)
}

function unusable(directory: string, layer: string, error: unknown): unknown {
  if (error instanceof SnapshotterError) return error
  const reason = error instanceof Error ? error.message : String(error)
  const message = `${layer}: its directory ${directory} cannot be used on this host; is it mounted? (${reason})`
  return new SnapshotterError('failed-precondition', message, { cause: error })
}
