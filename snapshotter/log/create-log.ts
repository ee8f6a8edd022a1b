/** Creates the log of our programs. They log to standard output, which systemd stores. */
import { type Logger, pino } from 'pino'
import type { LogConfig } from '../config/index.js'
import { textLine } from './text-line.js'

/** The stream for log lines. Programs use standard output. */
export interface LogStream {
  write(line: string): unknown
}

/**
 * Creates a logger that writes whole lines to `stream`. The format `json` writes pino's own lines.
 * The format `text` writes lines for people. Times are UTC.
 */
export function createLog(config: LogConfig, stream: LogStream = process.stdout): Logger {
  const options = { level: config.level, base: null, timestamp: pino.stdTimeFunctions.isoTime }
  switch (config.format) {
    case 'json':
      return pino(options, stream)
    case 'text':
      return pino(options, { write: (line: string) => stream.write(textLine(line)) })
  }
}
