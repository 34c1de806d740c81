/** Definitions in the log: their bodies on a topic kept for ever, and a marker in every inbox where they come into force. */
import type { Definition } from '../schemas/avro/types.ts'
import { type Answer, Answers, type Question, type Scope } from './answers.ts'
import type { Codec } from './codec.ts'
import { invariant, MillraceError } from './errors.ts'
import type { Log } from './log.ts'
import type { DefinitionsHead } from './operator.ts'
import { type AddressedRecord, controlKinds } from './record.ts'
import type { DefinitionSource } from './task.ts'
import { definitionsTopic, inboxOf, type Topology } from './topology.ts'

/**
 * Makes definitions of a manifest and the bodies it names. Pure, but for secrets that it fetches by reference. What they
 * leave to the world outside, they find in `outside`.
 */
export type Assemble = (manifest: Definition, bodies: readonly Definition[], outside: AnswerSource) => DefinitionsHead

export type AnswerSource = {
  /**
   * What holds at an instant of log time. Undefined: nobody has asked yet. Then it is wanted from now on, and whoever needs
   * it throws SCHEMA_MISSING: the task runs its batch again once `fetched` has resolved.
   */
  find(
    scope: Scope,
    id: string,
    atMs: number,
  ): { readonly found: Definition | null; readonly answer: Answer } | undefined
}

/**
 * Asks the world outside. Answers with records of the topic: answers, and before each the definition it names. `failure` is
 * what kept it from answering the rest, and is retryable.
 */
export type AskOutside = (
  questions: readonly Question[],
) => Promise<{ readonly records: readonly Definition[]; readonly failure: unknown }>

/** Reads the topic `definitions` and keeps what it has read; one object for each manifest, so that compiled forms are shared. */
export class DefinitionReader implements DefinitionSource {
  readonly #log: Log
  readonly #codec: Codec
  readonly #assemble: Assemble
  readonly #bodies = new Map<string, Definition>()
  readonly #manifests = new Map<string, Definition>()
  readonly #latest = new Map<string, Definition>()
  readonly #assembled = new Map<string, DefinitionsHead>()
  readonly #answers = new Answers()
  readonly #ask: AskOutside | undefined
  #wanted = new Map<string, Omit<Question, 'isKnown'>>()
  #asking: Promise<void> | undefined
  #reading: Promise<void> = Promise.resolve()
  #offset = 0

  /** `ask` where tasks run whose definitions leave something to the world outside. */
  constructor(log: Log, codec: Codec, assemble: Assemble, ask?: AskOutside) {
    this.#log = log
    this.#codec = codec
    this.#assemble = assemble
    this.#ask = ask
  }

  async resolve(tenant: string, hash: string): Promise<DefinitionsHead> {
    const name = `${tenant}/${hash}`
    const assembled = this.#assembled.get(name)
    if (assembled) return assembled
    if (!this.#manifests.has(name)) await this.#catchUp()
    const manifest = this.#manifests.get(name)
    if (!manifest) {
      throw new MillraceError(
        'DEFINITION_MISSING',
        `the definitions ${hash.slice(0, 12)} of tenant ${tenant} are not in the topic ${definitionsTopic} yet`,
      )
    }
    const entries: { hash: string }[] = JSON.parse(manifest.body)
    const bodies = entries.map((entry) => {
      const body = this.#bodies.get(`${tenant}/${entry.hash}`)
      if (!body)
        throw new MillraceError(
          'DEFINITION_MISSING',
          `the manifest ${hash.slice(0, 12)} of tenant ${tenant} names a body ${entry.hash.slice(0, 12)} that is not there`,
        )
      return body
    })
    const definitions = this.#assemble(manifest, bodies, this)
    this.#assembled.set(name, definitions)
    return definitions
  }

  /** The newest manifest of a tenant; undefined when it has none. */
  async latest(tenant: string): Promise<Definition | undefined> {
    await this.#catchUp()
    return this.#latest.get(tenant)
  }

  /** Whether a body is in the topic already. */
  has(tenant: string, hash: string): boolean {
    return this.#bodies.has(`${tenant}/${hash}`)
  }

  /** The newest definition of a kind and id among those that the newest manifest of the tenant lists. */
  async inForce(tenant: string, kind: Definition['kind'], id: string): Promise<Definition | undefined> {
    const manifest = await this.latest(tenant)
    const entries: { kind: string; id: string; hash: string }[] = manifest ? JSON.parse(manifest.body) : []
    const listed = entries.find((entry) => entry.kind === kind && entry.id === id)
    return listed && this.#bodies.get(`${tenant}/${listed.hash}`)
  }

  find(scope: Scope, id: string, atMs: number): { found: Definition | null; answer: Answer } | undefined {
    const answer = this.#answers.find(scope, id, atMs)
    if (answer)
      return { found: answer.found === null ? null : this.#bodies.get(`${scope.tenant}/${answer.found}`)!, answer }
    const name = `${scope.tenant}/${scope.hash}/${id}`
    // once for all records that want it: an answer for the latest of them is one for all
    const wantedMs = Math.max(atMs, this.#wanted.get(name)?.atMs ?? atMs)
    this.#wanted.set(name, { scope, id, atMs: wantedMs })
    return undefined
  }

  /**
   * Resolves when what was wanted has been looked for: in the topic, where another process may have left an answer, and
   * else outside. The answers are in the topic then, which alone decides. Throws what kept the outside from answering.
   */
  async fetched(): Promise<void> {
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined
    })
    await this.#asking
  }

  async #fetch(): Promise<void> {
    const wanted = [...this.#wanted.values()]
    this.#wanted = new Map()
    if (wanted.length === 0) return
    await this.#catchUp()
    const forgotten = wanted.filter((question) => this.#answers.mayBeForgotten(question))
    if (forgotten.length > 0) await this.#readAgain(new Set(forgotten.map(({ id }) => id)))
    const open = wanted
      .filter(({ scope, id, atMs }) => !this.#answers.find(scope, id, atMs))
      .map((question) => ({ ...question, isKnown: this.#answers.isKnown(question.scope, question.id) }))
    if (open.length === 0) return
    invariant(this.#ask, 'where definitions leave something to the outside, there is somebody to ask')
    const { records, failure } = await this.#ask(open)
    const news = records.filter(({ kind, tenant, hash }) => kind === 'answer' || !this.has(tenant, hash))
    if (news.length > 0) {
      await this.#log.append(news.map((definition) => definitionRecord(this.#codec, definition, Number.NaN)))
      await this.#catchUp()
    }
    if (failure) throw failure
  }

  /** One reading at a time, and each begins after it was asked for. */
  async #catchUp(): Promise<void> {
    const reading = this.#reading.then(() => this.#read())
    this.#reading = reading.catch(() => undefined)
    await reading
  }

  async #read(): Promise<void> {
    const { stable } = await this.#log.ends(definitionsTopic, 0)
    while (this.#offset < stable)
      this.#offset = await this.#readFrom(this.#offset, (...record) => this.#keep(...record))
  }

  async #readFrom(from: number, keep: (definition: Definition, offset: number) => void): Promise<number> {
    const limits = { maxRecords: 1000, maxBytes: 8 << 20 }
    const { records, nextOffset } = await this.#log.fetch(definitionsTopic, 0, from, limits)
    for (const { value, offset } of records) {
      invariant(value, 'a definition has a value')
      keep(this.#codec.decode('Definition', value), offset)
    }
    return nextOffset
  }

  /** Brings back what was dropped from memory of some ids. */
  async #readAgain(ids: ReadonlySet<string>): Promise<void> {
    const end = this.#offset
    const keep = (definition: Definition, offset: number): void => {
      if (offset < end && definition.kind === 'answer' && ids.has(definition.id)) this.#answers.keep(definition, offset)
    }
    for (let offset = 0; offset < end; ) offset = await this.#readFrom(offset, keep)
  }

  #keep(definition: Definition, offset: number): void {
    const name = `${definition.tenant}/${definition.hash}`
    if (definition.kind === 'answer') {
      this.#answers.keep(definition, offset)
    } else if (definition.kind === 'manifest') {
      this.#manifests.set(name, definition)
      this.#latest.set(definition.tenant, definition)
    } else {
      this.#bodies.set(name, definition)
    }
  }
}

function definitionRecord(codec: Codec, definition: Definition, timestampMs: number): AddressedRecord {
  const key = `${definition.tenant}/${definition.kind}:${definition.id}`
  const value = codec.encode('Definition', definition)
  return { topic: definitionsTopic, partition: 0, kind: 'definition', key, value, timestampMs }
}

/**
 * Brings definitions into force: bodies that are not there yet, the manifest, and a marker in every inbox partition, in
 * one commit. Answers the manifest's version; does nothing when the same definitions are in force already.
 */
export async function applyDefinitions(parts: {
  readonly topology: Topology
  readonly log: Log
  readonly codec: Codec
  readonly reader: DefinitionReader
  /** The manifest first, then the bodies; versions are given here. */
  readonly records: readonly Definition[]
  readonly logTimeMs: number
}): Promise<{ readonly version: number; readonly changed: boolean }> {
  const { topology, log, codec, reader, records, logTimeMs } = parts
  const manifest = records.find(({ kind }) => kind === 'manifest')
  invariant(manifest, 'definitions come with a manifest')
  const latest = await reader.latest(manifest.tenant)
  if (latest?.hash === manifest.hash) return { version: latest.version, changed: false }
  const version = (latest?.version ?? 0) + 1
  const outputs = records
    .filter(({ kind, tenant, hash }) => kind === 'manifest' || !reader.has(tenant, hash))
    .map((definition) => definitionRecord(codec, { ...definition, version }, logTimeMs))
  const marker = codec.encode('Marker', { tenant: manifest.tenant, version, hash: manifest.hash })
  for (const stage of topology.stages) {
    const { name: topic, partitions } = inboxOf(topology, stage)
    for (let partition = 0; partition < partitions; partition++) {
      outputs.push({
        topic,
        partition,
        kind: controlKinds.marker,
        key: manifest.tenant,
        value: marker,
        timestampMs: logTimeMs,
      })
    }
  }
  const writer = await log.writer('definitions')
  await writer.commit({ outputs })
  await writer.close()
  return { version, changed: true }
}
