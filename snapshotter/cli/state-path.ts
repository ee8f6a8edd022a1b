/** Paths of files that commands keep between runs (XDG base directory specification). */
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/**
 * `$XDG_STATE_HOME/thin-snapshotter/<name>`, with the variable from `env`. Its default is
 * `~/.local/state`.
 */
export function statePath(name: string, env: Readonly<Record<string, string | undefined>>): string {
  const home = env['XDG_STATE_HOME']
  // The specification says that relative paths are ignored.
  const base = home !== undefined && isAbsolute(home) ? home : join(homedir(), '.local', 'state')
  return join(base, 'thin-snapshotter', name)
}
