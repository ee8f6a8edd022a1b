/** The log of a command: one line on standard error for each entry, with fields as `key=value`. */
import type { Log } from '../../fusefs/index.js'

/** Warnings and errors are always written, levels info and debug only while `verbose` is true. */
export function stderrLog(verbose: () => boolean): Log {
  const line = (level: string, fields: object, message: string): void => {
    const pairs = Object.entries(fields).map(([key, value]) => `${key}=${shown(value)}`)
    process.stderr.write(`${[`${level}:`, message, ...pairs].join(' ')}\n`)
  }
  return {
    error: (fields, message) => {
      line('error', fields, message)
    },
    warn: (fields, message) => {
      line('warning', fields, message)
    },
    info: (fields, message) => {
      if (verbose()) line('info', fields, message)
    },
    debug: (fields, message) => {
      if (verbose()) line('debug', fields, message)
    },
  }
}

function shown(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.message)
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}
