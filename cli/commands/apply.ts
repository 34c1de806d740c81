/** `millrace apply`: a workspace's definitions into force on a cluster. */
import { type Command, Option } from 'commander'
import { addClusterFlags, type ClusterFlags, clusterOf } from '../cluster/options.ts'
import { workspaceOption } from '../options.ts'
import { printJson } from '../terminal.ts'

type Options = ClusterFlags & { readonly workspace: string; readonly data: string; readonly json?: true }

export function addApply(program: Command): void {
  const command = program
    .command('apply')
    .summary("bring a workspace's definitions into force on a cluster")
    .description(
      'Writes the definitions of a workspace to the cluster, with a marker in every inbox: each task switches exactly\n' +
        'there. Does nothing when they are in force already.',
    )
  addClusterFlags(command)
    .addOption(workspaceOption())
    .addOption(
      new Option('--data <folder>', 'of a process of this deployment, for its tenant key').default('.millrace/run'),
    )
    .option('--json', 'one JSON line for machines')
    .addHelpText('after', '\nExamples:\n  $ millrace apply --workspace ./my-shop\n')
    .action(async (options: Options) => {
      const place = clusterOf(options)
      const [{ ClusterDefinitions, openCluster }, { loadWorkspace }, { readTenantKey, tenantKeyVariable }] =
        await Promise.all([
          import('../cluster/cluster.ts'),
          import('../../workspace/workspace.ts'),
          import('../tenant-key.ts'),
        ])
      const workspace = await loadWorkspace(options.workspace)
      const key = await readTenantKey(options.data, {
        envName: workspace.tenantKeyEnv ?? tenantKeyVariable,
        env: process.env,
      })
      const cluster = await openCluster(place)
      try {
        const { version, changed } = await new ClusterDefinitions(cluster, workspace, key).apply({ always: true })
        if (options.json) printJson({ version, changed })
        else
          console.log(changed ? `version ${version} is in force from now on` : `version ${version} is in force already`)
      } finally {
        await cluster.close()
      }
    })
}
