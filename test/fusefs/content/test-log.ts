/** A log that keeps its lines, so that tests can see what an operator would see. */
import type { Log } from '../../../fusefs/index.js'

export interface LogLine {
  readonly level: 'error' | 'warn' | 'info' | 'debug'
  readonly fields: object
  readonly message: string
}

export function createTestLog(): Log & { readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  const at =
    (level: LogLine['level']) =>
    (fields: object, message: string): void => {
      lines.push({ level, fields, message })
    }
  return { lines, error: at('error'), warn: at('warn'), info: at('info'), debug: at('debug') }
}
