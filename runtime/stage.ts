/** A stage, ready to run: its wiring resolved to what the task loop asks of it at every record. */
import { invariant } from './errors.ts'
import type { AnyOperator, SchemaName } from './operator.ts'
import type { StatefulOperator } from './row.ts'
import {
  downstreamOf,
  inboxOf,
  type StageDeclaration,
  type TopicDeclaration,
  type Topology,
  taskName,
  topicOf,
  upstreamOf,
} from './topology.ts'

export type Stage = {
  readonly name: string
  readonly inbox: TopicDeclaration
  readonly operators: readonly AnyOperator[]
  /** Place of the first operator with state: those before it may run ahead of their turn. */
  readonly firstStateful: number
  readonly stateful: readonly StatefulOperator[]
  readonly topics: ReadonlyMap<string, TopicDeclaration>
  /** Inboxes that take this stage's ticks. */
  readonly downstream: readonly TopicDeclaration[]
  /** Names of the tasks whose ticks make the watermark; empty for a source stage, which keeps the log's own time. */
  readonly upstreamTasks: readonly string[]
}

export function stageOf(topology: Topology, name: string): Stage {
  const declaration = topology.stages.find((stage) => stage.name === name)
  invariant(declaration, `the topology has a stage ${name}`)
  const inbox = inboxOf(topology, declaration)
  const firstStateful = declaration.operators.findIndex(({ state }) => state !== null)
  return {
    name,
    inbox,
    operators: declaration.operators,
    firstStateful,
    stateful: declaration.operators
      .slice(firstStateful)
      .map(({ name, state }) => ({ name, state: state as SchemaName })),
    topics: new Map(declaration.emits.map((topic) => [topic, topicOf(topology, topic)])),
    downstream: downstreamOf(topology, declaration),
    upstreamTasks: upstreamTasksOf(topology, declaration),
  }
}

function upstreamTasksOf(topology: Topology, declaration: StageDeclaration): readonly string[] {
  return upstreamOf(topology, declaration).flatMap((stage) =>
    Array.from({ length: inboxOf(topology, stage).partitions }, (_, partition) => taskName(stage.name, partition)),
  )
}
