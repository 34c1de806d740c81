/** `millrace topology`: the picture of what runs. */
import type { Command } from 'commander'
import type { Topology } from '../../runtime/topology.ts'
import { workspaceOption } from '../options.ts'
import { drawTopology, mermaidTopology } from '../picture.ts'
import { printJson } from '../terminal.ts'

type Options = { readonly workspace: string; readonly mermaid?: true; readonly json?: true }

export function addTopology(program: Command): void {
  program
    .command('topology')
    .summary('draw what runs: stages, operators, topics')
    .description('Draws the topology: stages with their operators, the topics between them, and what those hold.')
    .addOption(workspaceOption())
    .option('--mermaid', 'as a Mermaid flowchart')
    .option('--json', 'as JSON')
    .addHelpText('after', '\nExamples:\n  $ millrace topology\n  $ millrace topology --mermaid > topology.mmd\n')
    .action(async ({ workspace, mermaid, json }: Options) => {
      const [{ customerData }, { loadWorkspace }] = await Promise.all([
        import('../../topologies/customer-data.ts'),
        import('../../workspace/workspace.ts'),
      ])
      const { destinations } = await loadWorkspace(workspace)
      const topology = customerData(destinations.map(({ id }) => id))
      if (json) printJson(wiringOf(topology))
      else console.log(mermaid ? mermaidTopology(topology) : drawTopology(topology))
    })
}

/** The topology without the operators' code. */
function wiringOf({ name, topics, stages }: Topology): unknown {
  return {
    name,
    topics,
    stages: stages.map(({ operators, ...stage }) => ({
      ...stage,
      operators: operators.map(({ name, state }) => ({ name, state })),
    })),
  }
}
