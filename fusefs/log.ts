/** What this layer needs of a log: pino's shape, so that a pino logger can be passed as it is. */
export interface Log {
  /** Someone must act. */
  error(fields: object, message: string): void
  /** Degraded, but served. */
  warn(fields: object, message: string): void
  /** Life cycle only. */
  info(fields: object, message: string): void
  /** Once per request; off unless asked for. */
  debug(fields: object, message: string): void
}
