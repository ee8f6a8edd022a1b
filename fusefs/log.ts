/** The logger that this layer writes to. It has pino's shape, so a pino logger can be passed. */
export interface Log {
  /** An operator must act. */
  error(fields: object, message: string): void
  /** Service is degraded, but requests are still answered. */
  warn(fields: object, message: string): void
  /** Life-cycle events only. */
  info(fields: object, message: string): void
  /** Lines written for each request. Off by default. */
  debug(fields: object, message: string): void
}
