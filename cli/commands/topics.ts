/** `millrace topics`: topics and schemas on Kafka as declared. */
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import type { PlannedItem } from '../../runtime/kafka/plan.ts'
import type { Partitions } from '../../topologies/customer-data.ts'
import { addClusterFlags, type ClusterFlags, clusterOf } from '../cluster/options.ts'
import type { ClusterPlan, PlanOptions } from '../cluster/plan.ts'
import { integer, partitionCounts, workspaceOption } from '../options.ts'
import { printJson } from '../terminal.ts'

type Options = ClusterFlags & {
  readonly workspace: string
  readonly replication?: number
  readonly partitions?: Partial<Partitions>
  readonly json?: true
}

type Action = PlannedItem['action']

export function addTopics(program: Command): void {
  const topics = program
    .command('topics')
    .summary('make the topics and schemas of a Kafka cluster as declared')
    .description('Makes the topics of a Kafka cluster and the schemas of its registry as the workspace needs them.')
    .helpCommand(false)

  addPlanning(topics.command('diff'))
    .summary('show what `apply` would do')
    .description('Shows what `apply` would create (+) and change (~), and what it would refuse (!). Changes nothing.')
    .option('--exit-code', 'end with 1 when there is a difference')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace topics diff --brokers localhost:9092 --registry http://localhost:8081\n  $ millrace topics diff --exit-code --json\n\nWithout --brokers it is the cluster that `millrace up` has started.\n',
    )
    .action(async ({ json, exitCode, ...options }: Options & { readonly exitCode?: true }) => {
      const plan = await (await planner())(planOptions(options), async (plan) => plan)
      print(plan, { json, applied: false })
      if (exitCode && Object.entries(countsOf(plan)).some(([action, count]) => action !== 'keep' && count > 0))
        process.exitCode = 1
    })

  addPlanning(topics.command('apply'))
    .summary('create and change what is not as declared')
    .description(
      'Creates topics that are missing, sets settings that differ, and registers the schemas of this version. Running it\n' +
        'again changes nothing. Topics that Millrace does not know are left alone. What cannot be made so without loss (a\n' +
        'topic of another number of partitions, a schema that cannot read older values) is refused, and nothing is changed.',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace topics apply --brokers localhost:9092 --registry http://localhost:8081\n  $ millrace topics apply --replication 3 --partitions identify=6,graph=2,profile=6\n',
    )
    .action(async ({ json, ...options }: Options) => {
      const plan = await (await planner())(planOptions(options), async (plan, apply) => {
        await apply()
        return plan
      })
      print(plan, { json, applied: true })
    })
}

function addPlanning(command: Command): Command {
  return addClusterFlags(command)
    .addOption(workspaceOption())
    .addOption(
      new Option('--replication <count>', "copies of each topic (default: the cluster's default)").argParser(
        integer(1, 99),
      ),
    )
    .addOption(
      new Option(
        '--partitions <counts>',
        'of the stages, such as identify=6,graph=2,profile=6 (default: as many as there are, else 3, 2 and 3)',
      ).argParser(partitionCounts),
    )
    .option('--json', 'one JSON line for machines')
}

const planner = async () => (await import('../cluster/plan.ts')).withClusterPlan

function planOptions({ workspace, replication, partitions, ...flags }: Omit<Options, 'json'>): PlanOptions {
  return {
    place: clusterOf(flags),
    workspaceFolder: workspace,
    replication: replication ?? null,
    partitions: partitions ?? {},
  }
}

// --- output ---

const signs: Readonly<Record<Action, string>> = { create: '+', change: '~', refuse: '!', keep: ' ' }
const colours = { create: pc.green, change: pc.yellow, refuse: pc.red, keep: pc.dim } as const

function print(
  plan: ClusterPlan,
  { json, applied }: { readonly json: true | undefined; readonly applied: boolean },
): void {
  const counts = countsOf(plan)
  const items = allItems(plan).filter(({ action }) => action !== 'keep')
  if (json) {
    const shown = items.map(({ what, name, action, details }) => ({ what, name, action, details }))
    printJson({ applied, ...counts, items: shown })
    return
  }
  const width = Math.max(0, ...items.map(({ what, name }) => what.length + 1 + name.length))
  for (const { what, name, action, details } of items)
    console.log(`${colours[action](`${signs[action]} ${`${what} ${name}`.padEnd(width)}`)}  ${details.join(', ')}`)
  const done = applied ? { create: 'created', change: 'changed' } : { create: 'to create', change: 'to change' }
  const parts = [
    ...(['create', 'change'] as const)
      .filter((action) => counts[action] > 0)
      .map((action) => `${counts[action]} ${done[action]}`),
    ...(counts.refuse > 0 ? [`${counts.refuse} that cannot be as declared`] : []),
    `${counts.keep} as declared`,
  ]
  console.log(`${items.length > 0 ? '\n' : ''}${parts.join(', ')}`)
}

const allItems = ({ topics, subjects }: ClusterPlan): readonly PlannedItem[] => [...topics, ...subjects]

function countsOf(plan: ClusterPlan): Readonly<Record<Action, number>> {
  const counts = { create: 0, change: 0, refuse: 0, keep: 0 }
  for (const { action } of allItems(plan)) counts[action]++
  return counts
}
