/** `millrace start`: everything in one process, with a live view of it. */
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import { Screen } from '../live/screen.ts'
import { type Status, statusJson } from '../live/status.ts'
import { renderStatus, summaryLine } from '../live/view.ts'
import { dataOption, integer, redisOption, redisUrlOf, workspaceOption } from '../options.ts'
import { untilSignal } from '../signals.ts'
import { printJson } from '../terminal.ts'

type Options = {
  readonly port: number
  readonly data: string
  readonly workspace: string
  readonly demo: boolean
  readonly threads: 'shared' | 'apart'
  readonly redis?: string | true
  readonly json?: true
}

/** How a running service is shown; `end` is called once, with how it ended. */
type Display = {
  readonly everyMs: number
  begin(status: Status): void
  show(status: Status): void
  end(status: Status): void
}

export function addStart(program: Command): void {
  program
    .command('start')
    .summary('run everything: collector, profiles, segments, destinations')
    .description(
      'Runs the whole topology in this process, with a collector for Snowplow trackers on 127.0.0.1, and shows what\n' +
        'happens. A made-up shop sends events, unless --no-demo. Ctrl-C drains and ends; the next start goes on from there.',
    )
    .addOption(new Option('--port <port>', 'of the collector').argParser(integer(0, 65_535)).default(8080))
    .addOption(dataOption())
    .addOption(workspaceOption())
    .addOption(
      new Option(
        '--threads <how>',
        'shared: all stages in one thread; apart: half of the work in a second one, for more events',
      )
        .choices(['shared', 'apart'])
        .default('apart'),
    )
    .addOption(redisOption('keeps every profile there too, for others to read'))
    .option('--no-demo', 'without the made-up shop: for real trackers and real destinations')
    .option('--json', 'a JSON line each second instead of the view')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace start\n  $ millrace start --no-demo --port 9090 --data /var/lib/millrace --workspace ./my-shop\n' +
        "\nSend an event of your own:\n  $ curl 'http://127.0.0.1:8080/i?e=pv&p=web&aid=shop&duid=my-browser&url=https://shop.example.com/'\n",
    )
    .action(start)
}

async function start({ port, data, workspace, demo, threads, redis, json }: Options): Promise<void> {
  if (process.stdout.isTTY && !json) console.log(pc.dim(`opening ${data} …`))
  const { Service } = await import('../live/service.ts')
  await untilSignal(async (onFatal) => {
    const service = await Service.start({
      dataFolder: data,
      workspaceFolder: workspace,
      port,
      demo,
      threads,
      redisUrl: redis === undefined ? null : redisUrlOf(redis, process.env),
      onFatal,
    })
    const display = json ? jsonDisplay() : process.stdout.isTTY ? screenDisplay() : plainDisplay()
    display.begin(service.status)
    const redraw = setInterval(() => display.show(service.status), display.everyMs)
    return async () => {
      const stopped = service.stop()
      display.show(service.status)
      await stopped.finally(() => clearInterval(redraw))
      display.end(service.status)
    }
  })
}

function screenDisplay(): Display {
  const screen = new Screen(process.stdout)
  const show = (status: Status): void => screen.draw(renderStatus(status, screen.size, pc))
  return {
    everyMs: 500,
    begin: show,
    show,
    end(status) {
      screen.close()
      console.log(`Stopped. ${summaryLine(status)}`)
      console.log(pc.dim(`Everything is in ${status.dataFolder}; \`millrace start\` goes on from there.`))
    },
  }
}

function plainDisplay(): Display {
  return {
    everyMs: 5000,
    begin(status) {
      console.log(
        `millrace: collector on ${status.url}, data in ${status.dataFolder}${status.shop ? ', with a made-up shop' : ''}`,
      )
      for (const { id, simulated, state, reason } of status.destinations) {
        if (simulated) console.log(`millrace: ${id} has nobody to send to; a receiver of this demo stands in for it`)
        if (state === 'held') console.log(`millrace: ${id} is held: ${reason}`)
      }
    },
    show: (status) => console.log(summaryLine(status)),
    end: (status) => console.log(`stopped · ${summaryLine(status)}`),
  }
}

function jsonDisplay(): Display {
  return {
    everyMs: 1000,
    begin: ({ url, dataFolder, shop }) => printJson({ kind: 'started', url, dataFolder, demo: shop !== null }),
    show: (status) => printJson(statusJson(status)),
    end: (status) => printJson({ ...statusJson(status), kind: 'stopped' }),
  }
}
