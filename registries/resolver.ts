/** Looks schemas up in the repositories of a tenant, and puts what they say into records of the topic `definitions`. */
import { createHash } from 'node:crypto'
import { type Answer, everyone, type Question } from '../runtime/answers.ts'
import { MillraceError } from '../runtime/errors.ts'
import type { Definition } from '../schemas/avro/types.ts'
import type { Registries, Repository } from '../schemas/definitions.ts'
import { type FetchSettings, fetchSchema } from './repository.ts'
import { later, type SchemaVersion, versionOf } from './version.ts'

/** That a schema is not there holds for so long: then one that has been published meanwhile is found. */
export const missingTtlMs = 10_000

/**
 * Schemas that were found to be nowhere within `missingTtlMs`. A stranger can ask for as many as an event holds; beyond
 * this number those that have never been asked for count as missing, for as long.
 */
const missingMax = 200

const lookupsAtOnce = 16
const supersededMax = 20

export type ResolverParts = Pick<FetchSettings, 'workspaceFolder' | 'env'> & {
  readonly nowMs: () => number
  /** Defaults: 5 s, three times. */
  readonly timeoutMs?: number
  readonly attempts?: number
}

/** What a look-up came to. */
export type Found = { readonly uri: string; readonly text: string; readonly repository: string }
export type Lookup = { readonly found: Found | null; readonly failures: Answer['failures'] }

export class Resolver {
  readonly #nowMs: () => number
  readonly #settings: FetchSettings
  /** When schemas were found missing, of the last `missingTtlMs`. */
  #missingAtMs: number[] = []

  constructor({ nowMs, timeoutMs = 5_000, attempts = 3, ...parts }: ResolverParts) {
    this.#nowMs = nowMs
    this.#settings = { ...parts, timeoutMs, attempts }
  }

  /** As `AskOutside` of runtime/definitions.ts. Whoever calls asks once at a time for a schema. */
  async ask(questions: readonly Question[]): Promise<{ records: Definition[]; failure: unknown }> {
    const records: Definition[] = []
    let failure: unknown = null
    const waiting = [...questions]
    const worker = async (): Promise<void> => {
      for (let question = waiting.shift(); question; question = waiting.shift()) {
        try {
          records.push(...(await this.#answer(question)))
        } catch (error) {
          failure = error
        }
      }
    }
    await Promise.all(Array.from({ length: lookupsAtOnce }, worker))
    const ofAll = new Map(records.filter(({ id }) => id === everyone).map((answer) => [answer.hash, answer]))
    return { records: [...records.filter(({ id }) => id !== everyone), ...ofAll.values()], failure }
  }

  async #answer({ scope, id, atMs, isKnown }: Question): Promise<Definition[]> {
    const { tenant, hash, settings } = scope
    const registries = JSON.parse(settings) as Registries
    const recordOf = (kind: Definition['kind'], of: string, body: string): Definition => {
      const digest = createHash('sha256').update(`${kind}\n${of}\n${body}`).digest('hex')
      return { tenant, hash: digest, kind, id: of, body, version: 0, actor: 'registry' }
    }
    const answer = (of: string, body: Answer): Definition => recordOf('answer', of, JSON.stringify(body))
    const askedMs = this.#nowMs()
    const nowMs = Math.max(askedMs, atMs)
    const missing = { scope: hash, untilMs: nowMs + missingTtlMs, found: null }
    if (!isKnown && this.#tooManyMissing(askedMs)) return [answer(everyone, { ...missing, failures: [] })]
    const { found, failures } = await this.resolve(registries, id)
    if (!found) {
      this.#missingAtMs.push(askedMs)
      return [answer(id, { ...missing, failures })]
    }
    const body = recordOf('schema', found.uri, found.text)
    const untilMs = registries.cacheTtlMs === null ? Number.MAX_SAFE_INTEGER : nowMs + registries.cacheTtlMs
    return [body, answer(id, { scope: hash, untilMs, found: body.hash, failures: [] })]
  }

  /** The schema of a key, or what supersedes it. IGLU_UNAVAILABLE when a repository that may have it cannot be asked. */
  async resolve(registries: Registries, uri: string): Promise<Lookup> {
    const seen = new Set<string>()
    for (let of = uri; ; ) {
      const lookup = await this.#lookUp(registries, of)
      seen.add(of)
      const next = lookup.found && supersededBy(lookup.found)
      if (!next || seen.has(next) || seen.size > supersededMax) return lookup
      of = next
    }
  }

  async #lookUp({ repositories }: Registries, uri: string): Promise<Lookup> {
    const path = uri.replace(/^iglu:/, '')
    const failures: { repository: string; message: string }[] = []
    let unavailable: unknown = null
    for (const repository of inOrder(repositories, path)) {
      try {
        const fetched = await fetchSchema(repository, path, this.#settings)
        const failure = 'text' in fetched ? notASchema(fetched.text) : 'failure' in fetched ? fetched.failure : null
        if (failure !== null) failures.push({ repository: repository.name, message: failure })
        else if ('text' in fetched) return { found: { uri, text: fetched.text, repository: repository.name }, failures }
      } catch (error) {
        if (!(error instanceof MillraceError)) throw error
        unavailable = error
      }
    }
    // one that could not be asked may be the one that has it
    if (unavailable) throw unavailable
    return { found: null, failures }
  }

  #tooManyMissing(nowMs: number): boolean {
    this.#missingAtMs = this.#missingAtMs.filter((atMs) => atMs > nowMs - missingTtlMs)
    return this.#missingAtMs.length >= missingMax
  }
}

/** First those whose prefix the vendor has, then folders before addresses, then by priority. */
function inOrder(repositories: readonly Repository[], path: string): readonly Repository[] {
  const rank = ({ vendorPrefixes, at, priority }: Repository): readonly number[] => [
    vendorPrefixes.some((prefix) => path.startsWith(prefix)) ? 0 : 1,
    'folder' in at ? 0 : 1,
    priority,
  ]
  return repositories
    .map((repository) => ({ repository, rank: rank(repository) }))
    .sort((a, b) => a.rank[0]! - b.rank[0]! || a.rank[1]! - b.rank[1]! || a.rank[2]! - b.rank[2]!)
    .map(({ repository }) => repository)
}

/** Null: it is one, as far as can be told without compiling it. */
function notASchema(text: string): string | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? null : 'answered no JSON object'
  } catch {
    return 'answered no JSON'
  }
}

/** The key that a schema says it is superseded by: a greater version of the same. */
function supersededBy({ uri, text }: Found): string | null {
  const by: unknown = (JSON.parse(text) as Record<string, unknown>)['$supersededBy']
  const at = uri.lastIndexOf('/') + 1
  const from = versionOf(uri.slice(at)) as SchemaVersion
  const to = typeof by === 'string' ? versionOf(by) : undefined
  return to && later(to, from) ? uri.slice(0, at) + (by as string) : null
}
