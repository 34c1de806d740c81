/** A schema into a repository: an Iglu Server, by its API, or a folder that a static registry is served from. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { MillraceError } from '../runtime/errors.ts'

export type Destination =
  | { readonly folder: string }
  | { readonly uri: string; readonly apiKey: string; readonly isPublic: boolean }

export type Published = 'created' | 'updated' | 'unchanged'

/**
 * A schema that is there already with another content is replaced only by `patch`. INPUT_INVALID when the repository does
 * not take it, IGLU_UNAVAILABLE when it does not answer.
 */
export function publish(
  to: Destination,
  key: string,
  text: string,
  { patch, timeoutMs = 10_000 }: { readonly patch: boolean; readonly timeoutMs?: number },
): Promise<Published> {
  const path = key.replace(/^iglu:/, '')
  return 'folder' in to ? intoFolder(to.folder, path, text, patch) : intoServer(to, path, text, patch, timeoutMs)
}

async function intoFolder(folder: string, path: string, text: string, patch: boolean): Promise<Published> {
  const place = join(folder, 'schemas', path)
  const present = await readFile(place, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    throw new MillraceError('INPUT_INVALID', `cannot read ${place} (${error.code})`, { cause: error })
  })
  if (present !== null && isSame(present, text)) return 'unchanged'
  if (present !== null && !patch) throw exists(path, folder)
  try {
    await mkdir(dirname(place), { recursive: true })
    await writeFile(place, text)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    throw new MillraceError('INPUT_INVALID', `cannot write ${place} (${code})`, { cause })
  }
  return present === null ? 'created' : 'updated'
}

async function intoServer(
  { uri, apiKey, isPublic }: Extract<Destination, { uri: string }>,
  path: string,
  text: string,
  patch: boolean,
  timeoutMs: number,
): Promise<Published> {
  const url = `${uri.replace(/\/+$/, '')}/schemas/${path}`
  const request = async (method: string, body: string | null): Promise<{ status: number; text: string }> => {
    try {
      const response = await fetch(method === 'PUT' ? `${url}?isPublic=${isPublic}` : url, {
        method,
        headers: { apikey: apiKey, 'content-type': 'application/json' },
        signal: AbortSignal.timeout(timeoutMs),
        ...(body !== null && { body }),
      })
      return { status: response.status, text: await response.text() }
    } catch (cause) {
      const { code } = (cause as { cause?: { code?: string } }).cause ?? {}
      throw new MillraceError('IGLU_UNAVAILABLE', `${url} does not answer (${code ?? (cause as Error).name})`, {
        cause,
      })
    }
  }
  const present = await request('GET', null)
  if (present.status === 200 && isSame(present.text, text)) return 'unchanged'
  if (present.status === 200 && !patch) throw exists(path, uri)
  const { status, text: answer } = await request('PUT', text)
  if (status === 200) return 'updated'
  if (status === 201) return 'created'
  if (status >= 500) throw new MillraceError('IGLU_UNAVAILABLE', `${url} answers ${status}: ${messageOf(answer)}`)
  throw new MillraceError('INPUT_INVALID', `${url} does not take the schema (${status}): ${messageOf(answer)}`)
}

const exists = (path: string, place: string): MillraceError =>
  new MillraceError(
    'INPUT_INVALID',
    `${path} is in ${place} already, with another content; give the schema a new version, or replace it with --patch`,
  )

function isSame(a: string, b: string): boolean {
  try {
    return sorted(JSON.parse(a)) === sorted(JSON.parse(b))
  } catch {
    return false
  }
}

const sorted = (value: unknown): string =>
  JSON.stringify(value, (_, of) =>
    typeof of === 'object' && of !== null && !Array.isArray(of)
      ? Object.fromEntries(Object.entries(of).sort(([a], [b]) => (a < b ? -1 : 1)))
      : of,
  )

function messageOf(answer: string): string {
  try {
    const { message } = JSON.parse(answer) as { message?: unknown }
    if (typeof message === 'string') return message.slice(0, 500)
  } catch {
    // as it is
  }
  return answer.slice(0, 500) || 'no reason given'
}
