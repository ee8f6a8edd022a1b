/** What every command is given: the log, and the signal that a person's Ctrl-C aborts. */
import type { Log } from '../../fusefs/index.js'

export interface CommandContext {
  /** Warnings and errors to standard error; more with `--verbose`. */
  readonly log: Log
  /** Aborted by SIGINT and SIGTERM. A second signal ends the process at once. */
  readonly signal: AbortSignal
}
