/** `millrace collect`: the HTTP collector in front of a cluster. */
import { type Command, Option } from 'commander'
import type { Target } from '../../sources/collector/collector.ts'
import { addClusterFlags, type ClusterFlags, clusterOf } from '../cluster/options.ts'
import { collectorOptions } from '../collector-options.ts'
import { integer, workspaceOption } from '../options.ts'
import { untilSignal } from '../signals.ts'

type Options = ClusterFlags & { readonly workspace: string; readonly host: string; readonly port: number }

export function addCollect(program: Command): void {
  const command = program
    .command('collect')
    .summary('take in events over HTTP, for a Kafka cluster')
    .description(
      'Takes in the events of Snowplow trackers and writes them to events.raw. A tracker is answered 200 once Kafka has\n' +
        'its events. Start as many as you like. /healthz, /readyz and /metrics answer on the same\n' +
        'port.',
    )
  addClusterFlags(command)
    .addOption(workspaceOption())
    .addOption(new Option('--host <address>', 'to listen on').default('127.0.0.1'))
    .addOption(new Option('--port <port>', 'to listen on').argParser(integer(0, 65_535)).default(8080))
    .addHelpText('after', '\nExamples:\n  $ millrace collect --port 8080\n  $ millrace collect --host 0.0.0.0\n')
    .action(async (options: Options) => {
      const place = clusterOf(options)
      const [
        { openCluster },
        { createCollector },
        { loadWorkspace },
        { topicOf },
        { collectorMetrics },
        { Patience },
        { generationEnded },
      ] = await Promise.all([
        import('../cluster/cluster.ts'),
        import('../../sources/collector/collector.ts'),
        import('../../workspace/workspace.ts'),
        import('../../runtime/topology.ts'),
        import('../cluster/collector-metrics.ts'),
        import('../cluster/patience.ts'),
        import('../generation.ts'),
      ])
      await untilSignal(async (onFatal, stopping) => {
        const { tenant, collector: settings, enrichments } = await loadWorkspace(options.workspace)
        const metrics = collectorMetrics(() => collector.counters)
        let target: Target | undefined
        const collector = createCollector({
          target: () => target,
          tenantOf: () => tenant,
          ...collectorOptions(settings, process.env),
          keptCookies: enrichments.cookies,
          metrics,
        })
        const port = await collector.listen(options.port, options.host)
        const patience = new Patience(stopping, ({ message }) => console.error(`millrace: waiting: ${message}`))
        const cluster = await patience
          .until(() => openCluster(place))
          .catch(async (error) => {
            await collector.close()
            throw error
          })
        const { base, log, codec, topology, generation } = cluster
        target = { log, codec, partitions: topicOf(topology, 'events.raw').partitions }
        // What it takes in from then on would go where nobody reads.
        const watching = new AbortController()
        void generationEnded(base, generation, watching.signal).then((ended) => ended && onFatal(ended), onFatal)
        console.log(`millrace: collector on http://${options.host}:${port}`)
        return async () => {
          watching.abort()
          await collector.close()
          await cluster.close()
          const { requests, events } = collector.counters
          console.log(`stopped · ${events} events in ${requests} requests`)
        }
      })
    })
}
