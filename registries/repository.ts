/** One Iglu repository: a folder, a static registry or an Iglu Server. All three have schemas at the same paths. */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { MillraceError } from '../runtime/errors.ts'
import type { Repository } from '../schemas/definitions.ts'

/** What a repository says of a schema. A `failure` is said of this schema; a repository that cannot be asked at all throws. */
export type Fetched = { readonly text: string } | { readonly missing: true } | { readonly failure: string }

export type FetchSettings = {
  /** Folders are looked for from here. */
  readonly workspaceFolder: string
  readonly env: NodeJS.ProcessEnv
  readonly timeoutMs: number
  readonly attempts: number
}

/** A larger schema does not fit the log. */
export const schemaBytesMax = 200_000

/** The text of a schema by its path `vendor/name/jsonschema/M-R-A`. IGLU_UNAVAILABLE, retryable, when it cannot be known now. */
export function fetchSchema(repository: Repository, path: string, settings: FetchSettings): Promise<Fetched> {
  const { at } = repository
  return 'folder' in at
    ? fromFolder(repository.name, at.folder, path, settings)
    : fromHttp(repository.name, `${at.uri}/schemas/${path}`, apiKeyOf(repository, settings.env), settings)
}

/** Null: none is needed. CONFIG_INVALID when the variable is not set. */
export function apiKeyOf({ name, at }: Repository, env: NodeJS.ProcessEnv): string | null {
  if ('folder' in at || at.apiKeyEnv === null) return null
  const key = env[at.apiKeyEnv]
  if (key) return key
  throw new MillraceError(
    'CONFIG_INVALID',
    `the repository '${name}' in iglu.json takes its key from the variable ${at.apiKeyEnv}, which is not set`,
  )
}

/** The folder may be a checkout of Iglu Central, or what is below `schemas` of one. */
async function fromFolder(name: string, folder: string, path: string, settings: FetchSettings): Promise<Fetched> {
  const root = join(settings.workspaceFolder, folder)
  for (const place of [join(root, 'schemas', path), join(root, path)]) {
    try {
      const { size } = await stat(place)
      return size > schemaBytesMax ? tooLarge(size) : { text: await readFile(place, 'utf8') }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw unavailable(name, `cannot read ${place} (${code})`, error)
    }
  }
  if (await isFolder(root)) return { missing: true }
  throw unavailable(name, `there is no folder ${root}`)
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  )
}

async function fromHttp(
  name: string,
  url: string,
  apiKey: string | null,
  { timeoutMs, attempts }: FetchSettings,
): Promise<Fetched> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await request(name, url, apiKey, timeoutMs)
    } catch (error) {
      if (attempt >= attempts || !(error instanceof MillraceError)) throw error
      await new Promise((resolve) => setTimeout(resolve, 50 * 3 ** (attempt - 1) * (0.5 + Math.random())))
    }
  }
}

async function request(name: string, url: string, apiKey: string | null, timeoutMs: number): Promise<Fetched> {
  let status: number
  let body: string | number
  try {
    const headers = { accept: 'application/json', ...(apiKey === null ? {} : { apikey: apiKey }) }
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(timeoutMs) })
    status = response.status
    body = status === 200 ? await bodyOf(response) : 0
    if (status !== 200) await response.body?.cancel()
  } catch (error) {
    const { cause } = error as { cause?: { code?: string } }
    throw unavailable(name, `${url} does not answer (${cause?.code ?? (error as Error).name})`, error)
  }
  if (status === 200) return typeof body === 'string' ? { text: body } : tooLarge(body)
  if (status === 404 || status === 410) return { missing: true }
  const refused = status === 401 || status === 403
  if (refused && apiKey !== null) throw unavailable(name, `${url} refuses the key (${status})`)
  if (status >= 500 || status === 408 || status === 425 || status === 429 || status < 400)
    throw unavailable(name, `${url} answers ${status}`)
  // a store without listing says 403 of what it does not have
  return { failure: `answered ${status}` }
}

/** The text, or how many bytes there are at least of one that is too large. */
async function bodyOf(response: Response): Promise<string | number> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body ?? []) {
    chunks.push(chunk)
    bytes += chunk.length
    if (bytes > schemaBytesMax) return bytes
  }
  return Buffer.concat(chunks).toString('utf8')
}

const tooLarge = (bytes: number): Fetched => ({ failure: `has more than ${schemaBytesMax} bytes (${bytes})` })

const unavailable = (name: string, what: string, cause?: unknown): MillraceError =>
  new MillraceError('IGLU_UNAVAILABLE', `the repository '${name}' cannot be asked for a schema: ${what}`, { cause })
