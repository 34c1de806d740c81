/** How the program ends when something is wrong: one clear sentence, and a status that scripts can tell apart. */
import { type ErrorCode, errorCodes, MillraceError } from '../runtime/errors.ts'

/** What was asked for cannot be: the settings, the port or the folder must change first. */
export const exitRefused = 2
export const exitFailed = 1

const refused: readonly ErrorCode[] = [
  'CONFIG_INVALID',
  'PORT_TAKEN',
  'DATA_UNWRITABLE',
  'DATA_LOCKED',
  'DATA_FOREIGN',
  'PART_MISSING',
  'KAFKA_REFUSED',
  'REGISTRY_REFUSED',
]

export type Ending = { readonly status: number; readonly text: string }

export function endingOf(error: unknown): Ending {
  if (error instanceof MillraceError) {
    const { code, message } = error
    const { remedy } = errorCodes[code]
    if (code === 'CONFIG_INVALID') return { status: exitRefused, text: `millrace: ${message}` }
    if (refused.includes(code)) return { status: exitRefused, text: `millrace: ${oneSentence(message, remedy)}` }
    return { status: exitFailed, text: `millrace: ${message}\n${remedy} (${code})` }
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  return { status: exitFailed, text: `millrace: an unexpected failure; please report it with what follows.\n${text}` }
}

/** `the folder is in use` and `Stop the other process.` as `the folder is in use; stop the other process.` */
function oneSentence(message: string, remedy: string): string {
  return `${message}; ${remedy.slice(0, 1).toLowerCase()}${remedy.slice(1)}`
}
