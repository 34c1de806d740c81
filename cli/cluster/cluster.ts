/** A deployment on Kafka, as what it runs with has to know it: log, codec, and the topology that its topics tell of. */
import { Codec } from '../../runtime/codec.ts'
import { applyDefinitions, DefinitionReader } from '../../runtime/definitions.ts'
import { MillraceError } from '../../runtime/errors.ts'
import { KafkaLog } from '../../runtime/kafka/log.ts'
import { ConfluentRegistry } from '../../runtime/kafka/registry.ts'
import { requireRegistryUrl } from '../../runtime/kafka/registry-client.ts'
import type { Topology } from '../../runtime/topology.ts'
import type { Definition } from '../../schemas/avro/types.ts'
import { sha256Hex } from '../../workspace/canonical.ts'
import { definitionsFrom, manifestOf } from '../../workspace/manifest.ts'
import type { Workspace } from '../../workspace/workspace.ts'
import { deployedTopology } from '../deployed-topology.ts'
import type { ClusterPlace } from '../place.ts'
import { fingerprintOf } from '../tenant-key.ts'

export type Cluster = {
  readonly log: KafkaLog
  readonly registry: ConfluentRegistry
  readonly codec: Codec
  readonly topology: Topology
  close(): Promise<void>
}

/** TOPIC_UNKNOWN and SCHEMA_UNREGISTERED, with what to do, where `topics apply` has not been. */
export async function openCluster({ kafka, registryUrl, prefix }: ClusterPlace): Promise<Cluster> {
  requireRegistryUrl(registryUrl) // before anything that may have to be waited for
  const log = await KafkaLog.open({ ...kafka, prefix })
  try {
    const registry = await ConfluentRegistry.open({ url: registryUrl, subjectPrefix: prefix })
    return {
      log,
      registry,
      codec: new Codec(registry),
      topology: deployedTopology(await log.topics()),
      close: () => log.close(),
    }
  } catch (error) {
    await log.close()
    throw error
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
  readonly #key: Definition

  constructor(cluster: Cluster, workspace: Workspace, tenantKey: Uint8Array) {
    this.#cluster = cluster
    this.#workspace = workspace
    this.#key = keyRecord(workspace.tenant, tenantKey)
    this.reader = new DefinitionReader(cluster.log, cluster.codec, (manifest, bodies) =>
      definitionsFrom([manifest, ...bodies], tenantKey),
    )
  }

  /**
   * Brings the workspace into force where nothing is yet, or `always`. CONFIG_INVALID when the deployment was begun under
   * another tenant key: the same customers would get other profiles.
   */
  async apply({ always }: { readonly always: boolean }): Promise<InForce & { readonly same: boolean }> {
    const { tenant } = this.#workspace
    const manifest = manifestOf(this.#workspace)
    for (;;) {
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
