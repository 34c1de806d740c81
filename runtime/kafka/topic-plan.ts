/** The topics of a cluster as they are declared: what would be created, what changed, and what cannot be. Pure. */
import type { TopicSpec } from '../log.ts'
import type { PlannedItem } from './plan.ts'
import { declaredSettings } from './topics.ts'

/** A topic as a cluster has it. */
export type ClusterTopic = {
  readonly partitions: number
  readonly replication: number
  /** Every one in force, by Kafka's name for it. */
  readonly settings: ReadonlyMap<string, string>
}

export type PlannedTopic = PlannedItem & {
  readonly spec: TopicSpec
  /** Those that differ from what is declared, as declared. */
  readonly settings: ReadonlyMap<string, string>
}

/** Kafka's way to leave the number of copies to its own setting. */
export const clusterDefault = -1

const dayMs = 24 * 3600 * 1000

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
    const item = { what: 'topic', name, spec, settings: new Map() } as const
    const declaredAs = declaredSettings(spec, replication ?? clusterDefault)
    const found = present.get(name)
    if (!found) {
      const details = [
        `${partitions} ${partitions === 1 ? 'partition' : 'partitions'}`,
        ...(replication === null ? [] : [`replication ${replication}`]),
        ...[...declaredAs].map(([setting, value]) => `${setting} ${readable(setting, value)}`),
      ]
      return { ...item, action: 'create', details }
    }
    const refusals = [
      ...(found.partitions === partitions ? [] : [partitionsRefused(found.partitions, partitions)]),
      ...(replication === null || found.replication === replication
        ? []
        : [replicationRefused(found.replication, replication)]),
    ]
    if (refusals.length > 0) return { ...item, action: 'refuse', details: refusals }

    const settings = new Map([...declaredAs].filter(([setting, value]) => found.settings.get(setting) !== value))
    const details = [...settings].map(([setting, value]) => {
      const before = found.settings.get(setting)
      return `${setting} ${before === undefined ? 'not set' : readable(setting, before)} → ${readable(setting, value)}`
    })
    return { ...item, action: settings.size > 0 ? 'change' : 'keep', details, settings }
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
