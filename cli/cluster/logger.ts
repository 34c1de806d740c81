/** The log of a service: JSON lines on standard output. No event, identifier or secret belongs in it. */
import { type Logger, pino } from 'pino'
import type { LogLevel } from '../options.ts'

export type { Logger }

export function newLogger(level: LogLevel): Logger {
  return pino({ level, base: { service: 'millrace' }, timestamp: pino.stdTimeFunctions.isoTime })
}
