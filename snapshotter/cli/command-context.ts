/** The log and the abort signal, which every command is given. */
import type { Log } from '../../fusefs/index.js'

export interface CommandContext {
  /** Writes warnings and errors to standard error, and more with `--verbose`. */
  readonly log: Log
  /** Aborted by SIGINT (Ctrl-C) and SIGTERM. A second signal ends the process at once. */
  readonly signal: AbortSignal
}
