/** A deployment on Kafka, as what it runs with has to know it: log, codec, and the topology that its topics tell of. */
import { setTimeout } from 'node:timers/promises'
import { Codec } from '../../runtime/codec.ts'
import { applyDefinitions, type DefinitionReader } from '../../runtime/definitions.ts'
import { MillraceError } from '../../runtime/errors.ts'
import { KafkaCoordinator } from '../../runtime/kafka/coordinator.ts'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import { ConfluentRegistry } from '../../runtime/kafka/registry.ts'
import { requireRegistryUrl } from '../../runtime/kafka/registry-client.ts'
import type { Log } from '../../runtime/log.ts'
import type { Topology } from '../../runtime/topology.ts'
import type { Definition } from '../../schemas/avro/types.ts'
import { sha256Hex } from '../../workspace/canonical.ts'
import { definitionsFrom } from '../../workspace/manifest.ts'
import type { Workspace } from '../../workspace/workspace.ts'
import { nextManifest, openDefinitions } from '../definitions.ts'
import { deployedTopology } from '../deployed-topology.ts'
import { type Generation, generationInForce, generationLog } from '../generation.ts'
import type { ClusterPlace } from '../place.ts'
import { fingerprintOf } from '../tenant-key.ts'

export type Cluster = {
  readonly base: KafkaLog
  /** As the generation in force sees it. */
  readonly log: Log
  readonly generation: Generation
  readonly registry: ConfluentRegistry
  readonly codec: Codec
  readonly topology: Topology
  close(): Promise<void>
}

/** Begins the names of the consumer groups. */
export const appOf = ({ prefix }: ClusterPlace): string => `${prefix}millrace`

/** TOPIC_UNKNOWN and SCHEMA_UNREGISTERED, with what to do, where `topics apply` has not been. */
export async function openCluster({ kafka, registryUrl, prefix }: ClusterPlace): Promise<Cluster> {
  requireRegistryUrl(registryUrl) // before anything that may have to be waited for
  const base = await KafkaLog.open({ ...kafka, prefix })
  try {
    const registry = await ConfluentRegistry.open({ url: registryUrl, subjectPrefix: prefix })
    const generation = await generationInForce(base)
    const log = generationLog(base, generation)
    return {
      base,
      log,
      generation,
      registry,
      codec: new Codec(registry),
      topology: deployedTopology(await log.topics()),
      close: () => base.close(),
    }
  } catch (error) {
    await base.close()
    throw error
  }
}

const emptyWithinMs = 20_000

/** Waits a little, as who has just stopped keeps its place for a restart. STILL_RUNNING, with the addresses of who does not go. */
export async function requireEmptyGroups(
  { base, topology }: Cluster,
  place: ClusterPlace,
  withinMs: number = emptyWithinMs,
): Promise<void> {
  const coordinator = new KafkaCoordinator(base.connection, place.prefix)
  for (let waitedMs = 0; ; waitedMs += 500) {
    const groups = await Promise.all(
      topology.stages.map(async ({ name }) => [name, await coordinator.members(`${appOf(place)}.${name}`)] as const),
    )
    const running = groups.filter(([, members]) => members.length > 0)
    if (running.length === 0) return
    if (waitedMs >= withinMs) {
      const who = running.map(([stage, members]) => `${stage} on ${[...new Set(members)].join(', ')}`)
      throw new MillraceError('STILL_RUNNING', `these stages have to be stopped first: ${who.join('; ')}`)
    }
    await setTimeout(500)
  }
}

export type InForce = { readonly version: number; readonly changed: boolean }

/**
 * The definitions of a deployment, under its tenant key. The first workspace comes into force by itself; from then on
 * processes start and end without changing anything, and `apply` is what changes it.
 */
export class ClusterDefinitions {
  readonly reader: DefinitionReader
  readonly #cluster: Cluster
  readonly #workspace: Workspace
  readonly #tenantKey: Uint8Array
  readonly #key: Definition

  constructor(cluster: Cluster, workspace: Workspace, tenantKey: Uint8Array) {
    this.#cluster = cluster
    this.#workspace = workspace
    this.#tenantKey = tenantKey
    this.#key = keyRecord(workspace.tenant, tenantKey)
    this.reader = openDefinitions(cluster.log, cluster.codec, workspace, tenantKey)
  }

  /**
   * Brings the workspace into force where nothing is yet, or `always`. CONFIG_INVALID when the deployment was begun under
   * another tenant key: the same customers would get other profiles; or when a secret is not there that they name. `refresh`
   * has registries asked anew.
   */
  async apply({
    always,
    refresh = false,
  }: {
    readonly always: boolean
    readonly refresh?: boolean
  }): Promise<InForce & { readonly same: boolean }> {
    const { tenant } = this.#workspace
    for (;;) {
      const manifest = await nextManifest(this.reader, this.#workspace, refresh)
      definitionsFrom(manifest.records, this.#tenantKey)
      const latest = await this.reader.latest(tenant)
      if (latest && !this.reader.has(tenant, this.#key.hash)) {
        throw new MillraceError(
          'CONFIG_INVALID',
          `this deployment was begun with another tenant key for ${tenant}; give each process the same one`,
        )
      }
      const same = latest?.hash === manifest.hash
      if (latest && (same || !always)) return { version: latest.version, changed: false, same }
      try {
        const records = [...manifest.records, this.#key]
        const { log, codec, topology } = this.#cluster
        const logTimeMs = Date.now()
        return {
          ...(await applyDefinitions({ topology, log, codec, reader: this.reader, records, logTimeMs })),
          same: true,
        }
      } catch (error) {
        // Another process was quicker; look again what is in force now.
        if (!(error instanceof MillraceError && error.code === 'FENCED')) throw error
      }
    }
  }
}

/** Which key it is, without telling the key. */
function keyRecord(tenant: string, tenantKey: Uint8Array): Definition {
  const body = JSON.stringify(fingerprintOf(tenantKey))
  const hash = sha256Hex(`tenant_key\n${tenant}\n${body}`)
  return { tenant, hash, kind: 'tenant_key', id: tenant, body, version: 1, actor: 'millrace' }
}
