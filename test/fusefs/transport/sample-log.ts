import type { Log } from '../../../fusefs/index.js'

/** Collects what was logged. */
export class SampleLog implements Log {
  readonly errors: { fields: object; message: string }[] = []
  readonly warnings: string[] = []
  readonly lines: string[] = []

  error(fields: object, message: string): void {
    this.errors.push({ fields, message })
  }
  warn(_fields: object, message: string): void {
    this.warnings.push(message)
  }
  info(): void {
    // Life cycle: nothing a test looks at.
  }
  debug(_fields: object, message: string): void {
    this.lines.push(message)
  }
}
