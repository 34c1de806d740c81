/** The log of a service: JSON lines on standard output. No event, identifier or secret belongs in it. */
import { type Logger, pino } from 'pino'

export type { Logger }

export const logLevels = ['debug', 'info', 'warn', 'error'] as const

export function newLogger(level: (typeof logLevels)[number]): Logger {
  return pino({ level, base: { service: 'millrace' }, timestamp: pino.stdTimeFunctions.isoTime })
}
