/** The log of a program of ours: on standard output, which systemd keeps. */
import { type Logger, pino } from 'pino'
import type { LogConfig } from '../config/index.js'
import { textLine } from './text-line.js'

/** Where lines go; standard output in a program. */
export interface LogStream {
  write(line: string): unknown
}

/**
 * A logger that writes whole lines to `stream`: what pino writes, or for the format `text` lines for
 * people. Times are UTC.
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
