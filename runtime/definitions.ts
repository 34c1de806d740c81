/** Definitions in the log: their bodies on a topic kept for ever, and a marker in every inbox where they come into force. */
import type { Definition } from '../schemas/avro/types.ts'
import type { Codec } from './codec.ts'
import { invariant, MillraceError } from './errors.ts'
import type { Log } from './log.ts'
import type { DefinitionsHead } from './operator.ts'
import { type AddressedRecord, controlKinds } from './record.ts'
import type { DefinitionSource } from './task.ts'
import { definitionsTopic, inboxOf, type Topology } from './topology.ts'

/** Makes definitions of a manifest and the bodies it names. Pure, but for secrets that it fetches by reference. */
export type Assemble = (manifest: Definition, bodies: readonly Definition[]) => DefinitionsHead

/** Reads the topic `definitions` and keeps what it has read; one object for each manifest, so that compiled forms are shared. */
export class DefinitionReader implements DefinitionSource {
  readonly #log: Log
  readonly #codec: Codec
  readonly #assemble: Assemble
  readonly #bodies = new Map<string, Definition>()
  readonly #manifests = new Map<string, Definition>()
  readonly #latest = new Map<string, Definition>()
  readonly #assembled = new Map<string, DefinitionsHead>()
  #offset = 0

  constructor(log: Log, codec: Codec, assemble: Assemble) {
    this.#log = log
    this.#codec = codec
    this.#assemble = assemble
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
    const definitions = this.#assemble(manifest, bodies)
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

  async #catchUp(): Promise<void> {
    const { stable } = await this.#log.ends(definitionsTopic, 0)
    while (this.#offset < stable) {
      const { records, nextOffset } = await this.#log.fetch(definitionsTopic, 0, this.#offset, {
        maxRecords: 1000,
        maxBytes: 8 << 20,
      })
      for (const { value } of records) {
        invariant(value, 'a definition has a value')
        this.#keep(this.#codec.decode('Definition', value))
      }
      this.#offset = nextOffset
    }
  }

  #keep(definition: Definition): void {
    const name = `${definition.tenant}/${definition.hash}`
    if (definition.kind === 'manifest') {
      this.#manifests.set(name, definition)
      this.#latest.set(definition.tenant, definition)
    } else {
      this.#bodies.set(name, definition)
    }
  }
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
    .map((definition): AddressedRecord => {
      const key = `${definition.tenant}/${definition.kind}:${definition.id}`
      const value = codec.encode('Definition', { ...definition, version })
      return { topic: definitionsTopic, partition: 0, kind: 'definition', key, value, timestampMs: logTimeMs }
    })
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
