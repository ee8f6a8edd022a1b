/** Where commands keep what they remember between runs (XDG base directory specification). */
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/** `$XDG_STATE_HOME/thin-snapshotter/<name>`, by the environment `env`. */
export function statePath(name: string, env: Readonly<Record<string, string | undefined>>): string {
  const home = env['XDG_STATE_HOME']
  // The specification says that a relative path is to be ignored.
  const base = home !== undefined && isAbsolute(home) ? home : join(homedir(), '.local', 'state')
  return join(base, 'thin-snapshotter', name)
}
