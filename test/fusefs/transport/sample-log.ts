import { setTimeout as sleep } from 'node:timers/promises'
import type { Log } from '../../../fusefs/index.js'

/** A log that collects its messages. */
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
    // Info messages are about the life cycle. No test looks at them.
  }
  debug(_fields: object, message: string): void {
    this.lines.push(message)
  }

  /**
   * Waits at most 5 seconds for an error that matches: a dispatcher thread answers the kernel first
   * and logs afterwards. Returns false if none came.
   */
  async hasError(pattern: RegExp): Promise<boolean> {
    const deadlineMs = performance.now() + 5000
    while (!this.errors.some((error) => pattern.test(JSON.stringify(error)))) {
      if (performance.now() > deadlineMs) return false
      await sleep(10)
    }
    return true
  }
}
