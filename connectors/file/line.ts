/** A line of the file: the activation under its offset. */
import type { Delivery } from '../connector.ts'

export type LastLine = { readonly offset: number; readonly idempotencyKey: string }

export function fileLine({ offset, activation }: Delivery): string {
  return `${JSON.stringify({ offset, ...activation })}\n`
}

/** What of a line tells where the file is; undefined when it is no line of ours. */
export function parseLine(line: string): LastLine | undefined {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { offset, idempotencyKey } = value as Record<string, unknown>
  if (!Number.isSafeInteger(offset) || typeof idempotencyKey !== 'string') return undefined
  return { offset: offset as number, idempotencyKey }
}
