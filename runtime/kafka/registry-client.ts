/** The schema registry's HTTP interface, as much of it as we use, through the client of @kafkajs/confluent-schema-registry. */
import { createRequire } from 'node:module'
import type { SchemaRegistryAPIClient } from '@kafkajs/confluent-schema-registry/dist/api/index.js'
import type avsc from 'avsc'
import { MillraceError } from '../errors.ts'

export type RegistryOptions = {
  /** Base URL of the Confluent-compatible interface; may carry `user:password@`. */
  readonly url: string
  /** Stands before the name of every subject: for deployments that share a registry and not their schemas. */
  readonly subjectPrefix?: string
}

export type SubjectVersion = { readonly version: number; readonly id: number; readonly schema: avsc.Schema }

/** Loaded as what it is, CommonJS: a default export of that is not seen alike by Node and by test runners. */
const { default: createApi }: typeof import('@kafkajs/confluent-schema-registry/dist/api/index.js') = createRequire(
  import.meta.url,
)('@kafkajs/confluent-schema-registry/dist/api')

const requestTimeoutMs = 3000

/**
 * Each method throws REGISTRY_UNAVAILABLE when no answer comes in time, or one that tells nothing: a fault, a proxy's page,
 * and REGISTRY_REFUSED when we are not let in.
 */
export class RegistryClient {
  readonly #api: SchemaRegistryAPIClient
  readonly #url: URL
  readonly #prefix: string

  /** CONFIG_INVALID for an address that is none. */
  constructor({ url, subjectPrefix = '' }: RegistryOptions) {
    const base = requireRegistryUrl(url)
    const { username, password } = base
    base.username = base.password = ''
    this.#url = base
    this.#prefix = subjectPrefix
    this.#api = createApi({
      host: base.href.replace(/\/$/, ''),
      clientId: 'millrace',
      retry: { retries: 2, initialRetryTimeInSecs: 0.1, maxRetryTimeInSecs: 1 },
      ...(username && { auth: { username: decodeURIComponent(username), password: decodeURIComponent(password) } }),
    })
  }

  /**
   * Subjects are named by record (RecordNameStrategy): a schema has one history, wherever its values stand, since a task
   * reads them from topics, rows of its store and dead letters alike.
   */
  subjectOf(name: string): string {
    return `${this.#prefix}millrace.${name}`
  }

  /** Null when no schema has the id. */
  schema(id: number): Promise<avsc.Schema | null> {
    return this.#ask(this.#api.Schema.find({ id, timeout: requestTimeoutMs }), schemaIn)
  }

  /** Null when the subject does not have it. */
  version(subject: string, version: number): Promise<SubjectVersion | null> {
    return this.#ask(this.#api.Subject.version({ ...named(subject), version }), versionIn)
  }

  /** Null when the subject does not exist. */
  latest(subject: string): Promise<SubjectVersion | null> {
    return this.#ask(this.#api.Subject.latestVersion(named(subject)), versionIn)
  }

  /** The version of the subject that is this very schema; null when none is. */
  registered(subject: string, schema: avsc.Schema): Promise<SubjectVersion | null> {
    return this.#ask(this.#api.Subject.registered({ ...named(subject), body: bodyOf(schema) }), versionIn)
  }

  /** SCHEMA_INCOMPATIBLE when the registry finds it so. */
  async register(subject: string, schema: avsc.Schema): Promise<void> {
    await this.#ask(this.#api.Subject.register({ ...named(subject), body: bodyOf(schema) }), ignored)
  }

  /** The compatibility set for the subject itself; null when none is. */
  compatibility(subject: string): Promise<string | null> {
    return this.#ask(this.#api.Subject.config(named(subject)), ({ compatibilityLevel }) => compatibilityLevel)
  }

  async setCompatibility(subject: string, compatibility: string): Promise<void> {
    await this.#ask(this.#api.Subject.updateConfig({ ...named(subject), body: { compatibility } }), ignored)
  }

  /** What is read from the answer; null for "not found". */
  async #ask<Value>(answer: Promise<Answer>, read: (data: Data) => Value): Promise<Value | null> {
    try {
      return read((await answer).data())
    } catch (cause) {
      const { status, message } = cause as { readonly status?: number; readonly message: string }
      if (status === 404) return null
      const what = `the schema registry at ${this.#url.host}`
      // The client calls what got no answer a 400.
      const why = message.replace(/^millrace - (Error, status 400: )?/, '')
      if (status === 409 || status === 422)
        throw new MillraceError('SCHEMA_INCOMPATIBLE', `${what} refuses a schema: ${why}`, { cause })
      if (status === 401 || status === 403)
        throw new MillraceError('REGISTRY_REFUSED', `${what} does not let us in: ${why}`, { cause })
      throw new MillraceError('REGISTRY_UNAVAILABLE', `${what} does not serve: ${why}`, { cause })
    }
  }
}

/** CONFIG_INVALID for an address that is none. */
export function requireRegistryUrl(url: string): URL {
  const base = URL.parse(url)
  if (!base || !/^https?:$/.test(base.protocol))
    throw new MillraceError('CONFIG_INVALID', `the schema registry's address ${url} is no http(s) URL`)
  return base
}

type Data = {
  readonly id: number
  readonly version: number
  readonly schema: string
  readonly compatibilityLevel: string
}
type Answer = { data(): Data }

const schemaIn = ({ schema }: Data): avsc.Schema => JSON.parse(schema)
const versionIn = ({ version, id, schema }: Data): SubjectVersion => ({ version, id, schema: JSON.parse(schema) })
const ignored = (): void => undefined
const bodyOf = (schema: avsc.Schema) => ({ schema: JSON.stringify(schema) })
const named = (subject: string) => ({ subject, timeout: requestTimeoutMs })
