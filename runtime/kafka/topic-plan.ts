/** The topics of a cluster as they are declared: what would be created, what changed, and what cannot be. Pure. */
import type { TopicSpec } from '../log.ts'
import type { PlannedItem } from './plan.ts'

/** A topic as a cluster has it. */
export type ClusterTopic = {
  readonly partitions: number
  readonly replication: number
  /** Every setting in force, by Kafka's name for it. */
  readonly config: ReadonlyMap<string, string>
}

export type PlannedTopic = PlannedItem & {
  readonly partitions: number
  /** Settings to create it with, or those to change. */
  readonly config: ReadonlyMap<string, string>
}

const dayMs = 24 * 3600 * 1000
/** A store that was away for less than this still learns from its changelog what has been removed. */
const tombstonesMs = 7 * dayMs

/** The settings our guarantees rest on. Whatever else a topic is set to is left to those who run the cluster. */
export function declaredConfig({ cleanup, retentionMs }: TopicSpec, replication: number | null): Map<string, string> {
  return new Map([
    ['cleanup.policy', cleanup],
    cleanup === 'compact'
      ? ['delete.retention.ms', String(tombstonesMs)]
      : ['retention.ms', retentionMs === null ? '-1' : String(retentionMs)],
    // Log time is the writer's: it comes from the record that caused this one.
    ['message.timestamp.type', 'CreateTime'],
    // What is acknowledged is on two disks, wherever one of three may fail.
    ...(replication !== null && replication >= 3 ? ([['min.insync.replicas', '2']] as const) : []),
  ])
}

/**
 * One item for each declared topic, in order; topics that are not declared are nobody's business here.
 * `replication` null leaves the factor to the cluster's default, and whatever a topic has is right.
 */
export function planTopics(
  declared: readonly TopicSpec[],
  present: ReadonlyMap<string, ClusterTopic>,
  replication: number | null,
): readonly PlannedTopic[] {
  return declared.map((spec): PlannedTopic => {
    const { name, partitions } = spec
    const item = { what: 'topic', name, partitions } as const
    const config = declaredConfig(spec, replication)
    const found = present.get(name)
    if (!found) {
      const details = [
        `${partitions} ${partitions === 1 ? 'partition' : 'partitions'}`,
        ...(replication === null ? [] : [`replication ${replication}`]),
        ...[...config].map(([setting, value]) => `${setting} ${readable(setting, value)}`),
      ]
      return { ...item, action: 'create', details, config }
    }
    const refusals = [
      ...(found.partitions === partitions ? [] : [partitionsRefused(found.partitions, partitions)]),
      ...(replication === null || found.replication === replication
        ? []
        : [replicationRefused(found.replication, replication)]),
    ]
    if (refusals.length > 0) return { ...item, action: 'refuse', details: refusals, config: new Map() }

    const changes = new Map([...config].filter(([setting, value]) => found.config.get(setting) !== value))
    const details = [...changes].map(([setting, value]) => {
      const before = found.config.get(setting)
      return `${setting} ${before === undefined ? 'not set' : readable(setting, before)} → ${readable(setting, value)}`
    })
    return { ...item, action: changes.size > 0 ? 'change' : 'keep', details, config: changes }
  })
}

function partitionsRefused(present: number, declared: number): string {
  return (
    `it has ${present} partitions, not ${declared}: with another number keys move to other partitions, away from ` +
    `their state and their order; \`millrace replay --partitions\` builds a new generation with more`
  )
}

function replicationRefused(present: number, declared: number): string {
  return `its replication is ${present}, not ${declared}: move its replicas with kafka-reassign-partitions`
}

/** `2592000000` as `2592000000 (30 days)`. */
function readable(setting: string, value: string): string {
  if (!setting.endsWith('.ms')) return value
  const days = Number(value) / dayMs
  return value === '-1'
    ? '-1 (for ever)'
    : Number.isInteger(days)
      ? `${value} (${days} ${days === 1 ? 'day' : 'days'})`
      : value
}
